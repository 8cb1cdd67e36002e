"""Asks Prometheus for the metrics of HyperPod's dashboard while a little load goes on, and writes them as a table."""

import json
import math
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 60.0
AT_A_TIME = 4
_OWN = frozenset({"__name__", "namespace", "resource_name", "quantile"})
Samples = list[tuple[Mapping[str, str], float]]


def query(address: str, expression: str) -> Samples:
    """What Prometheus answers: labels and value of each series, NaN left out: nothing was observed there."""
    where = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(where, timeout=10) as answer:  # noqa: S310 - always our own http://127.0.0.1
        result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    samples = [(each["metric"], float(each["value"][1])) for each in result]
    return [(labels, value) for labels, value in samples if not math.isnan(value)]


def under_load(ask: Callable[[int], object], look: Callable[[], bool], patience: float = PATIENCE) -> int:
    """Ask again and again, a few at a time, until `look` is content or patience ends; returns how often."""
    deadline = time.monotonic() + patience
    asked = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while True:
            list(pool.map(ask, range(asked, asked + AT_A_TIME)))
            asked += AT_A_TIME
            if look() or time.monotonic() > deadline:
                return asked


def settle(look: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until `look` is content, or patience ends."""
    deadline = time.monotonic() + patience
    while not look() and time.monotonic() < deadline:
        time.sleep(0.2)


def lines(address: str, wanted: Sequence[tuple[str, str, str]]) -> list[str]:
    """One line for each metric of (title, name, unit); what has no value says so."""
    rows = [("metric", "name", "now")]
    rows += [(title, name, _spoken(query(address, name), unit)) for title, name, unit in wanted]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows]


def _spoken(samples: Samples, unit: str) -> str:
    """Values of one metric, those of other labels apart: `direct 0.05 0.09 0.10 s (p50 p90 p99)`."""
    series: dict[str, list[tuple[float, float]]] = {}
    for labels, value in samples:
        others = " ".join(text for name, text in sorted(labels.items()) if name not in _OWN)
        series.setdefault(others, []).append((float(labels.get("quantile", "nan")), value))
    parts = []
    for others, points in sorted(series.items()):
        text = " ".join(_number(value, unit) for _, value in sorted(points))
        marks = "" if len(points) == 1 else f" ({' '.join(f'p{quantile * 100:.0f}' for quantile, _ in sorted(points))})"
        parts.append(f"{others + ' ' if others else ''}{text}{' s' if unit == 's' else ''}{marks}")
    return ", ".join(parts) or "-"


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}" if unit == "s" else f"{value:g}"
