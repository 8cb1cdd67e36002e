"""Counters, gauges and histograms, and their exposition as text. No I/O."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Histogram:
    """Observations of one label set."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's name (without a counter's `_total`), kind, help and, for a histogram, upper bounds."""

    name: str
    kind: Kind
    text: str
    bounds: tuple[float, ...] = ()


class Registry:
    """Values of a fixed table of families; every sample carries the registry's own labels first."""

    def __init__(self, families: Sequence[Family], common: Mapping[str, str]):
        self._families = {family.name: family for family in families}
        self._common = tuple(common.items())
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in self._families}
        self._histograms: dict[str, dict[Labels, Histogram]] = {name: {} for name in self._families}

    def add(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Raise a counter, or move a gauge. Raises KeyError for a name that is not in the table."""
        values, key = self._values[name], tuple(labels.items())
        values[key] = values.get(key, 0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._values[name][tuple(labels.items())] = value

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Count one observation of a histogram."""
        bounds, key = self._families[name].bounds, tuple(labels.items())
        found = self._histograms[name].get(key)
        if found is None:
            found = self._histograms[name][key] = Histogram(bounds, [0] * (len(bounds) + 1))
        found.observe(value)

    def render(self) -> str:
        """The exposition text."""
        lines: list[str] = []
        for family in self._families.values():
            body = [*self._plain(family), *self._buckets(family)]
            if body:
                lines += [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}", *body]
        return "\n".join(lines) + "\n" if lines else ""

    def _plain(self, family: Family) -> list[str]:
        name = family.name + ("_total" if family.kind == "counter" else "")
        return [f"{name}{self._labels(key)} {float(value)}" for key, value in self._values[family.name].items()]

    def _buckets(self, family: Family) -> list[str]:
        lines = []
        for key, found in self._histograms[family.name].items():
            running = 0
            for bound, count in zip((*family.bounds, float("inf")), found.counts, strict=True):
                running += count
                le = "+Inf" if bound == float("inf") else str(float(bound))
                lines.append(f"{family.name}_bucket{self._labels((*key, ('le', le)))} {float(running)}")
            lines.append(f"{family.name}_count{self._labels(key)} {float(running)}")
            lines.append(f"{family.name}_sum{self._labels(key)} {found.total}")
        return lines

    def _labels(self, key: Labels) -> str:
        pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in (*self._common, *key))
        return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
