"""Beside the last stage: counters and histograms that cost a request a fraction of a microsecond each.

The client library checks every label and takes a lock at every count; here one thread counts, into dictionaries, and
what the library is for, the format, it still does: families are made of the dictionaries when somebody looks.
"""

from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter. `seen` says which series are there before anything was counted."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), seen: Sequence[Labels] = ()) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[Labels, list[float]] = {each: [0.0] for each in seen}

    def cell(self, labels: Labels) -> list[float]:
        """Return where a series is counted: a list of one number, to be raised. `labels` are in the names' order."""
        return self._values.setdefault(labels, [0.0])

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        """Count."""
        self.cell(labels)[0] += amount

    def collect(self) -> list[Metric]:
        """Return what was counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value[0])
        return [family]


class Series:
    """The times of one series."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = list(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one time."""
        bucket = 0
        for bound in self._bounds:  # compiled, cheaper than to have them searched: most times are short
            if seconds <= bound:
                break
            bucket += 1
        self.counts[bucket] += 1
        self.total += seconds


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
        self._series: dict[Labels, Series] = {}
        for each in seen:
            self.series(each)

    def series(self, labels: Labels) -> Series:
        """Return the series of these labels."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Series(self._bounds)
        return found

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one time."""
        self.series(labels).observe(seconds)

    def collect(self) -> list[Metric]:
        """Return the distributions."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        ends = [*(str(float(each)) for each in self._bounds), "+Inf"]
        for labels, series in self._series.items():
            family.add_metric(labels, list(zip(ends, accumulate(series.counts), strict=True)), series.total)
        return [family]
