"""Many figures in a few: the middle, the last of a hundred, the most."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a number of seconds."""

    count: int
    median: float
    p99: float
    most: float

    def __str__(self) -> str:
        return f"median {self.median:.2f} s, p99 {self.p99:.2f} s, most {self.most:.2f} s of {self.count}"


def spread(values: Sequence[float]) -> Spread:
    """Return what there is to say of some figures. Raises ValueError without any."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no figures: nothing was measured")
    last = len(ordered) - 1
    return Spread(len(ordered), ordered[round(last * 0.5)], ordered[round(last * 0.99)], ordered[-1])
