"""What `bench.traffic` makes of what it measured: tables, lines and data, nothing timed."""

import json
import subprocess
import sys

import pytest

from bench.cases import Case
from bench.chart import picture
from bench.traffic import BODIES, Cost, Found, _told, record

FOUND = Found(
    streams={1: [Cost(20.0, 0.0), Cost(22.0, 0.2), Cost(21.0, 0.1)], 1_000: [Cost(8.0, 40.0)] * 3},
    bodies={pd: {size: [Cost((1 + pd) * 100.0, 1.0)] * 3 for size in BODIES} for pd in (False, True)},
    processes={1: [(10_000.0, 9_000.0), (11_000.0, 9_100.0)], 2: [(10_000.0, 9_200.0), (11_000.0, 9_300.0)]},
)


def load(told: dict[str, object]) -> "subprocess.Popen[str]":
    """A load that is over and has told what is given."""
    program = [sys.executable, "-c", f"print({json.dumps(told)!r})"]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def test_streams_become_a_column_each_with_what_one_of_them_holds() -> None:
    streams = record(FOUND).tables[0].rows
    assert streams[0] == ["streams", "1", "1k"]
    assert streams[1][1:] == ["21.0 (20.0–22.0)", "8.0 (8.0–8.0)"]
    assert streams[3] == ["KB for each", "100.0", "40.0"]


def test_bodies_become_a_row_for_each_path() -> None:
    bodies = record(FOUND).tables[1].rows
    assert [row[0] for row in bodies[1:]] == ["direct", "PD"]
    assert bodies[0][1:] == ["1Ki", "10Ki", "100Ki", "1Mi", "10Mi"]
    assert set(bodies[2][1:]) == {"200.0 (200.0–200.0)"}


def test_two_processes_are_compared_with_one_of_the_same_round() -> None:
    processes = record(FOUND).tables[2].rows
    assert processes[1][-1] == "2.00 × (2.00–2.00)"


def test_lines_begin_where_a_logarithm_can_show_them() -> None:
    made = record(FOUND)
    assert made.charts[1].lines["router"] == [[1, 0.1], [1_000, 40.0]]
    assert made.charts[3].lines["direct"][1] == [10 << 10, 10.0]
    assert "<svg" in picture(made)


def test_the_figures_are_kept_whole() -> None:
    data = json.loads(json.dumps(record(FOUND).data))
    assert data["streams"]["1"] == [[20.0, 0.0], [22.0, 0.2], [21.0, 0.1]]
    assert set(data) == {"streams", "bodies", "bodies PD", "processes"}


def test_a_load_is_counted_only_when_nothing_failed() -> None:
    case = Case("some streams", 1, 1, 1024)
    assert _told(load({"failed": 0, "requests": 7}), case)["requests"] == 7
    with pytest.raises(RuntimeError, match="some streams: 2 requests failed, first: refused"):
        _told(load({"failed": 2, "first_failure": "refused"}), case)
