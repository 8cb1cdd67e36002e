"""Line charts as SVG: what a dashboard's panels would show of a stretch of time. Decides only.

Sizes are pixels, times seconds. A panel's lines are lists of (time, value); gaps stay gaps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT, COLUMNS, HEADER = 310, 190, 4, 34
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 26, 44
LEGEND_LINES = 3
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
SCALES = {"Bps": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")), "s": ((1, "s"), (1e-3, "ms")), "short": ((1e3, "k"),)}
SUFFIXES = {"reqps": "/s", "Bps": "B/s", "s": "s"}


@dataclass(frozen=True)
class Panel:
    """One chart: its title, its unit in Grafana's words, its lines by their legend."""

    title: str
    unit: str
    lines: Mapping[str, Points]


def picture(title: str, rows: Sequence[tuple[str, Sequence[Panel]]], span: tuple[float, float]) -> str:
    """Return the SVG of rows of panels, each row under its title, all over the same span of time."""
    height = HEADER
    for _, panels in rows:
        height += HEADER + HEIGHT * -(-len(panels) // COLUMNS)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH * COLUMNS} {height}",
            "font-family": "sans-serif",
        },
    )
    rect(root, 0, 0, WIDTH * COLUMNS, height, "#ffffff")
    text(root, 10, 22, title, 15)
    y = HEADER
    for name, panels in rows:
        text(root, 10, y + 22, name, 13)
        y += HEADER
        for number, panel in enumerate(panels):
            _panel(root, WIDTH * (number % COLUMNS), y + HEIGHT * (number // COLUMNS), panel, span)
        y += HEIGHT * -(-len(panels) // COLUMNS)
    ElementTree.indent(root, "")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _panel(root: ElementTree.Element, x: int, y: int, panel: Panel, span: tuple[float, float]) -> None:
    text(root, x + LEFT, y + 16, panel.title, 12)
    values = [value for points in panel.lines.values() for _, value in points]
    top = ceiling(max(values, default=0.0))
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    for share in (0.0, 0.5, 1.0):
        level = y + TOP + down * (1 - share)
        line(root, [(x + LEFT, level), (x + WIDTH - RIGHT, level)], "#dddddd", 1.0)
        text(root, x + LEFT - 4, level + 3, spoken(top * share, panel.unit), 9, "end")
    begin, end = span
    for number, (legend, points) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [
            (x + LEFT + across * (at - begin) / (end - begin), y + TOP + down * (1 - value / top))
            for at, value in points
        ]
        line(root, placed, colour, 1.4)
        column, row = divmod(number, LEGEND_LINES)
        text(root, x + LEFT + column * across // 2, y + HEIGHT - BOTTOM + 13 + 11 * row, legend, 9, colour=colour)


def ceiling(value: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999))


def spoken(value: float, unit: str) -> str:
    """Return a value as an axis says it: 0.25 of percentunit is 25%, 0.05 of s 50ms."""
    if unit == "percentunit":
        return f"{value * 100:g}%"
    for size, name in SCALES.get(unit, ()):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}{SUFFIXES.get(unit, '')}"


def rect(root: ElementTree.Element, x: float, y: float, width: float, height: float, colour: str) -> None:
    """Draw a filled rectangle."""
    place = {"x": x, "y": y, "width": width, "height": height}
    ElementTree.SubElement(root, "rect", {**{name: f"{each:g}" for name, each in place.items()}, "fill": colour})


def line(root: ElementTree.Element, points: Points, colour: str, width: float) -> None:
    """Draw a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    ElementTree.SubElement(
        root, "polyline", {"points": path, "fill": "none", "stroke": colour, "stroke-width": f"{width:g}"}
    )


def text(
    root: ElementTree.Element, x: float, y: float, words: str, size: int, anchor: str = "start", colour: str = "#222222"
) -> None:
    """Write a text; `anchor` is start, middle or end."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "font-size": str(size), "text-anchor": anchor, "fill": colour}
    ElementTree.SubElement(root, "text", place).text = words
