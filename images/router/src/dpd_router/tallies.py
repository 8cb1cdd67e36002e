"""Beside the last stage: counters and histograms that cost a request a fraction of a microsecond each.

The client library checks every label and takes a lock at every count; here one thread counts, into dictionaries, and
what the library is for, the format, it still does: families are made of the dictionaries when somebody looks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter. `seen` says which series are there before anything was counted."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), seen: Sequence[Labels] = ()) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: defaultdict[Labels, float] = defaultdict(float, dict.fromkeys(seen, 0.0))

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        """Count; `labels` are values in the order of the names."""
        self._values[labels] += amount

    def collect(self) -> list[Metric]:
        """Return what was counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return [family]


class Times(Collector):
    """A histogram of seconds; `bounds` are the buckets' upper ends, in order and without the infinite one."""

    def __init__(
        self,
        name: str,
        text: str,
        bounds: Sequence[float],
        labels: Sequence[str] = (),
        seen: Sequence[Labels] = (),
    ) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: defaultdict[Labels, float] = defaultdict(float)
        for each in seen:
            self._begin(each)

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one time."""
        counts = self._counts.get(labels) or self._begin(labels)
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] += seconds

    def _begin(self, labels: Labels) -> list[int]:
        counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
        return counts

    def collect(self) -> list[Metric]:
        """Return the distributions."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        ends = [*(str(float(each)) for each in self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            family.add_metric(labels, list(zip(ends, accumulate(counts), strict=True)), self._sums[labels])
        return [family]
