"""A record's charts as one SVG, the same text for the same figures. Decides only; sizes are pixels."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from xml.etree import ElementTree

from bench.record import Axis, Bars, Chart, Record
from dpd_local.svg import COLOURS, ceiling, line, rect, text

WIDTH, HEIGHT, COLUMNS, HEADER = 420, 290, 2, 12
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 28, 88
LEGEND_COLUMNS, DOT = 2, 2.0
GREY, DARK = "#dddddd", "#222222"
_SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))
_NARROW = 0.8


@dataclass(frozen=True)
class Scale:
    """Where on a line of pixels a value lies; `ticks` are the values that are named."""

    at: Callable[[float], float]
    ticks: Sequence[float]


def picture(record: Record) -> str:
    """Return the SVG of all charts of a record, two in a row; empty when it has none."""
    panels = [*(partial(_chart, each) for each in record.charts), *(partial(_bars, each) for each in record.bars)]
    if not panels:
        return ""
    height = HEADER + HEIGHT * -(-len(panels) // COLUMNS)
    place = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH * COLUMNS} {height}"}
    root = ElementTree.Element("svg", {**place, "font-family": "sans-serif"})
    rect(root, 0, 0, WIDTH * COLUMNS, height, "#ffffff")
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        panel(root, WIDTH * column, HEADER + HEIGHT * row)
    ElementTree.indent(root, "")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def scale(axis: Axis, values: Iterable[float], begin: float, end: float) -> Scale:
    """Return the scale of an axis between two pixels: from 0, or with `log` between whole powers of ten."""
    known = list(values)
    if not axis.log:
        most = ceiling(max(known, default=0.0))
        return Scale(lambda value: begin + (end - begin) * value / most, [most * step / 4 for step in range(5)])
    powers = [math.log10(value) for value in known if value > 0] or [0.0]
    least = math.floor(min(powers))
    steps = max(1, math.ceil(max(powers)) - least)
    ticks = [10.0 ** (least + step) for step in range(steps + 1)]

    def at(value: float) -> float:
        return begin + (end - begin) * (math.log10(max(value, ticks[0])) - least) / steps

    return Scale(at, ticks)


def spoken(value: float) -> str:
    """Return a tick as people read it: 10k, 2.5, 100µ."""
    for size, name in _SIZES:
        if value >= size * 0.9999:
            return f"{value / size:g}{name}"
    return f"{value:g}"


def _chart(chart: Chart, root: ElementTree.Element, x: int, y: int) -> None:
    points = [point for each in chart.lines.values() for point in each]
    across = scale(chart.x, (point[0] for point in points), x + LEFT, x + WIDTH - RIGHT)
    up = scale(chart.y, (point[1] for point in points), y + HEIGHT - BOTTOM, y + TOP)
    _frame(root, x, y, chart.title, chart.y, up)
    for tick in across.ticks:
        text(root, across.at(tick), y + HEIGHT - BOTTOM + 13, spoken(tick), 9, "middle")
    text(root, x + WIDTH - RIGHT, y + HEIGHT - BOTTOM + 25, chart.x.of, 9, "end")
    for number, each in enumerate(chart.lines.values()):
        placed = [(across.at(at), up.at(value)) for at, value in each]
        if not chart.dots:
            line(root, placed, _colour(number), 1.4)
        for at, level in placed:
            rect(root, at - DOT, level - DOT, 2 * DOT, 2 * DOT, _colour(number))
    _legend(root, x, y, list(chart.lines))


def _bars(bars: Bars, root: ElementTree.Element, x: int, y: int) -> None:
    names = list(dict.fromkeys(name for group in bars.groups.values() for name in group))
    floor = y + HEIGHT - BOTTOM
    up = scale(bars.y, (value for group in bars.groups.values() for value in group.values()), floor, y + TOP)
    _frame(root, x, y, bars.title, bars.y, up)
    group_width = (WIDTH - LEFT - RIGHT) / max(1, len(bars.groups))
    width = group_width * _NARROW / max(1, len(names))
    for place, (group, values) in enumerate(bars.groups.items()):
        begin = x + LEFT + group_width * place
        text(root, begin + group_width / 2, floor + 13, group, 9, "middle")
        for number, name in enumerate(names):
            if name in values:
                top = up.at(values[name])
                left = begin + group_width * (1 - _NARROW) / 2 + width * number
                rect(root, left, top, width, floor - top, _colour(number))
    _legend(root, x, y, names)


def _frame(root: ElementTree.Element, x: int, y: int, title: str, axis: Axis, up: Scale) -> None:
    text(root, x + LEFT, y + 13, title, 12)
    text(root, x + LEFT - 4, y + 23, axis.of, 9, "end")
    for tick in up.ticks:
        line(root, [(x + LEFT, up.at(tick)), (x + WIDTH - RIGHT, up.at(tick))], GREY, 1.0)
        text(root, x + LEFT - 4, up.at(tick) + 3, spoken(tick), 9, "end")


def _legend(root: ElementTree.Element, x: int, y: int, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        row, column = divmod(number, LEGEND_COLUMNS)
        left = x + LEFT + column * (WIDTH - LEFT - RIGHT) // LEGEND_COLUMNS
        rect(root, left, y + HEIGHT - BOTTOM + 34 + 12 * row, 8, 8, _colour(number))
        text(root, left + 12, y + HEIGHT - BOTTOM + 42 + 12 * row, name, 9, colour=DARK)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
