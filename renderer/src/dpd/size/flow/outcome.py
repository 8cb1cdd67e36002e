"""What a simulated endpoint was like: times to the first token and between tokens, how busy, how full, which ways."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dpd.size.flow.system import Record


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: half of the requests were no slower, ninety in a hundred, ninety-nine, and the mean."""

    p50: float
    p90: float
    p99: float
    mean: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """first_token and token_gap in seconds; ways: how many requests for each reason; unfinished: never answered."""

    first_token: Times
    token_gap: Times
    seconds: float
    ways: dict[str, int]
    unfinished: int

    @property
    def disaggregated(self) -> float:
        """Share of requests that a prefiller computed."""
        return self.ways.get("threshold", 0) / max(1, sum(self.ways.values()))


def outcome_of(records: Sequence[Record]) -> Outcome:
    """Sum up what became of the requests."""
    firsts = [each.first - each.arrival.at for each in records if each.first is not None]
    lasts = [each.last for each in records if each.last is not None]
    gaps = [
        (each.last - each.first) / (each.arrival.answer - 1)
        for each in records
        if each.last is not None and each.first is not None and each.arrival.answer > 1
    ]
    return Outcome(
        first_token=times(firsts),
        token_gap=times(gaps),
        seconds=max(lasts, default=0.0),
        ways=dict(Counter(each.reason for each in records)),
        unfinished=len(records) - len(lasts),
    )


def times(values: Sequence[float]) -> Times:
    """Return the quantiles of some seconds; zeros of none."""
    if not values:
        return Times(0.0, 0.0, 0.0, 0.0)
    ordered = sorted(values)
    last = len(ordered) - 1
    p50, p90, p99 = (ordered[min(last, int(share * len(ordered)))] for share in (0.5, 0.9, 0.99))
    return Times(p50, p90, p99, sum(ordered) / len(ordered))
