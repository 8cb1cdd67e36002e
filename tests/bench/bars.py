"""Third step: what the router has to be, and whether it is. Decides only; no I/O.

A bar is a most. Ratios are ours to another's in the same round; of two others, the cheaper one of that round counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cases import ALONE, DIRECT, EVENTS, NGINX, PD, REQUESTS, RUST, US, Case, Figure, Found

STREAMS_MB, SLOW_MB = 80.0, 1.0
STREAMS = "2,000 streams"
SLOW = "behind each reader of one byte a second"


@dataclass(frozen=True)
class Bar:
    """What was found, round by round, against the most it may be. Its verdict is the median's."""

    what: str
    most: float
    values: Sequence[float]
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Say whether the bar is met; what was not measured is not."""
        return bool(self.values) and median(self.values) <= self.most

    def row(self) -> list[str]:
        """Return it as cells: what, the most, the median with least and most, the verdict."""
        if not self.values:
            return [self.what, f"≤ {self.most:g} {self.unit}", "not measured", "FAIL"]
        low, high = min(self.values), max(self.values)
        found = f"{median(self.values):.2f} {self.unit} ({low:.2f}–{high:.2f})"
        return [self.what, f"≤ {self.most:g} {self.unit}", found, "pass" if self.met else "FAIL"]


def bars(found: Found, memory: Sequence[float], slow: Sequence[float]) -> list[Bar]:
    """Return every bar; `memory` is of 2,000 streams, `slow` what a slow reader adds, both in MB and round by round."""
    made: list[Bar] = []
    for case in REQUESTS:
        made += _pair(found, case, rust=0.6, nginx=2.0)
    for case in EVENTS:
        made += _pair(found, case, rust=0.7, nginx=1.3)
    for case in PD:
        made.append(Bar(f"{case.name}: to vllm-router", 0.6, _ratios(found, case, RUST[:1], _cpu)))
    made.append(Bar(f"{ALONE.name}: added latency, to the faster Rust router", 1.0, _added(found)))
    return [*made, Bar(STREAMS, STREAMS_MB, memory, "MB"), Bar(f"added {SLOW}", SLOW_MB, slow, "MB")]


def _pair(found: Found, case: Case, *, rust: float, nginx: float) -> list[Bar]:
    return [
        Bar(f"{case.name}: to the cheaper Rust router", rust, _ratios(found, case, RUST, _cpu)),
        Bar(f"{case.name}: to nginx", nginx, _ratios(found, case, [NGINX], _cpu)),
    ]


def _cpu(figure: Figure) -> float:
    return figure.cpu


def _ratios(found: Found, case: Case, others: Sequence[str], of: Callable[[Figure], float]) -> list[float]:
    ours = found.get((US, case.name), ())
    theirs = [found.get((each, case.name), ()) for each in others]
    if not all(theirs):
        return []
    return [of(one) / min(map(of, rest)) for one, *rest in zip(ours, *theirs, strict=False)]


def _added(found: Found) -> list[float]:
    """Compare what each adds to the median latency of the engine itself; nobody adds less than a microsecond."""
    rounds = [found.get((each, ALONE.name), ()) for each in (DIRECT, US, *RUST)]
    if not all(rounds):
        return []
    added = [[max(1.0, each.p50 - direct.p50) for each in rest] for direct, *rest in zip(*rounds, strict=False)]
    return [ours / min(rust) for ours, *rust in added]
