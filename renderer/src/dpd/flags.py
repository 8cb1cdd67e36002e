"""Reading engine flags out of argument lists, the way the chart merges them: a role's flag wins over the worker's."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dpd.problems import FieldPath

_SHORT = {
    "-tp": "--tensor-parallel-size",
    "-pp": "--pipeline-parallel-size",
    "-dp": "--data-parallel-size",
}
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_LONGEST_NUMBER = 64
_FLAG = re.compile(r"--?[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag as it is in force: its value (None for a switch) and where it is written."""

    value: str | None
    path: FieldPath


def whole_number(text: str | None) -> int | None:
    """Return a flag's value as a number when it is written in plain digits, else None."""
    return int(text) if text and _DIGITS.match(text) else None


def share(text: str | None) -> float | None:
    """Return a flag's value as a number above 0 and up to 1, else None."""
    try:
        value = float((text or "")[:_LONGEST_NUMBER])
    except ValueError:
        return None
    return value if 0 < value <= 1 else None


@lru_cache(1024)
def canonical(token: str) -> str:
    """Return the long spelling with dashes of a flag token, without a value attached by `=`."""
    head = token.partition("=")[0]
    return _SHORT.get(head, head.replace("_", "-"))


def parse(args: Sequence[str], path: FieldPath) -> Iterator[tuple[str, Flag]]:
    """Yield each flag in `args` (which lie at `path`) under its canonical name, in their order: the last one counts."""
    for index, token in enumerate(args):
        if not _FLAG.match(token):
            continue
        _, attached, value = token.partition("=")
        following = args[index + 1] if index + 1 < len(args) else None
        separate = following if following is not None and not _FLAG.match(following) else None
        yield canonical(token), Flag(value if attached else separate, (*path, index))
