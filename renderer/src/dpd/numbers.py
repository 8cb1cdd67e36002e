"""Numbers on the command line: kinds of arguments that say, when refused, what to write. Nothing heavy is imported."""

import argparse
import math

from dpd.problems import short


def whole(text: str) -> int:
    """Read a whole number; what it may be is its reader's matter."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{short(text)} is no whole number; write digits, as in 400") from None


def number(text: str) -> float:
    """Read a number; what it may be is its reader's matter."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{short(text)} is no number; write digits, as in 4 or 0.5") from None


def seconds(text: str) -> float:
    """Read a time, 0 or more, that ends."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{short(text)} is no time; write a number of seconds, 0 or more")
    return found
