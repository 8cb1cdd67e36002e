"""Beside the steps: how long the tokens of streams are apart, as figures, rows and lines of a chart."""

from collections.abc import Mapping, Sequence
from statistics import median

QUANTILES = (0.5, 0.99, 0.999, 1.0)
HEAD = ["", "p50", "p99", "p99.9", "longest", "TTFT p50"]
STEPS = (*(number / 20 for number in range(19)), 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 1.0)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of some values in order do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, rounds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[str]:
    """Return a row in milliseconds, of gaps in order and first tokens, round by round: medians, least and most."""
    gaps = [[1e3 * quantile(each, share) for each, _ in rounds] for share in QUANTILES]
    firsts = [1e3 * median(each) for _, each in rounds if each]
    return [name, *map(_spread, gaps), _spread(firsts) if firsts else "–"]


def curve(rounds: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return, for ever rarer gaps, one in how many is longer and how long those are in the middle round, in ms."""
    return [
        [round(1 / (1 - share), 1), round(1e3 * median(quantile(each, share) for each in rounds), 3)]
        for share in STEPS
        if share < 1
    ]


def excerpt(line: Sequence[Sequence[float]], begin: float, seconds: float) -> list[list[float]]:
    """Return a part of one stream: seconds from its beginning, and each token's gap in ms."""
    return [[round(at - begin, 3), round(1e3 * gap, 2)] for at, gap in line if begin <= at < begin + seconds]


def lines(played: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[list[float]]]:
    """Return the curves of several engines."""
    return {name: curve(rounds) for name, rounds in played.items()}


def _spread(values: Sequence[float]) -> str:
    if min(values) == max(values):
        return f"{values[0]:.1f}"
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"
