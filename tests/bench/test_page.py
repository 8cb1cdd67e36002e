"""The page of figures: what the JSON says, and that nothing else can be committed beside it."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.chart import picture, spoken
from bench.page import PAGE, outputs, page, stale
from bench.record import Axis, Bars, Chart, Record, Table, read, told, write
from support.paths import ROOT

RECORD = Record(
    name="growth",
    title="How it grows",
    place=2,
    command="make growth",
    text=["What was asked.", "What was seen."],
    tables=[Table([["workers", "µs"], ["10", "3.0"]])],
    charts=[Chart("Time", Axis("workers", log=True), Axis("µs"), {"session": [[10, 3.0], [1000, 4.5]]})],
    bars=[Bars("Memory", Axis("MB"), {"64 streams": {"ours": 12.0, "theirs": 48.0}})],
    versions={"uvloop": "0.23.0"},
    data={"seed": 1},
    date="2026-01-02",
    machine="2 cores",
)


def test_a_record_that_was_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    found = read(write(RECORD, tmp_path))
    assert found.charts[0] == RECORD.charts[0]
    assert found.bars[0] == RECORD.bars[0]
    assert replace(found, tables=(), charts=(), bars=()) == replace(RECORD, tables=(), charts=(), bars=())


def test_a_record_without_a_date_gets_todays_and_the_machine(tmp_path: Path) -> None:
    found = read(write(replace(RECORD, date="", machine=""), tmp_path))
    assert found.date.count("-") == 2
    assert "cores" in found.machine


@pytest.mark.parametrize("command", ["echo 'program version: name/1.22.1'", "echo 'name 1.22.1 2026/01/02' >&2"])
def test_a_programs_version_is_what_it_tells_on_either_output(command: str) -> None:
    assert told(["sh", "-c", command], {}) == "1.22.1"


def test_a_program_without_a_version_is_named_with_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="echo nothing: tells no version: 'nothing'"):
        told(["echo", "nothing"], {})


def test_a_section_says_what_was_found_when_where_and_by_which_command() -> None:
    written = page({"growth": RECORD})
    assert (
        "## How it grows\n\nWhat was asked.\n\nWhat was seen.\n\n| workers | µs |\n|---|---|\n| 10 | 3.0 |" in written
    )
    assert "![How it grows](benchmarks/growth.svg)" in written
    assert "`make growth`, 2026-01-02, 2 cores, uvloop 0.23.0; [figures](benchmarks/growth.json)" in written


def test_sections_stand_in_the_order_of_their_places() -> None:
    first = replace(RECORD, name="zero", title="First", place=1)
    written = page({"growth": RECORD, "zero": first})
    assert written.index("## First") < written.index("## How it grows")


def test_a_picture_is_an_svg_with_every_legend_and_the_same_each_time() -> None:
    drawn = picture(RECORD)
    words = {each.text for each in ElementTree.fromstring(drawn).iter() if each.text}
    assert {"Time", "session", "ours", "theirs", "64 streams", "10", "1k"} <= words
    assert drawn == picture(RECORD)
    assert picture(replace(RECORD, charts=(), bars=())) == ""


def test_a_tick_is_spoken_in_thousands() -> None:
    assert [spoken(value) for value in (0.0, 0.001, 0.5, 1, 2500, 10**7)] == ["0", "1m", "500m", "1", "2.5k", "10M"]


def test_a_page_that_was_edited_or_a_picture_that_nothing_gives_is_told(tmp_path: Path) -> None:
    files = {PAGE: "right\n"}
    (tmp_path / "docs" / "benchmarks").mkdir(parents=True)
    (tmp_path / PAGE).write_text("wrong\n")
    (tmp_path / "docs" / "benchmarks" / "old.svg").write_text("<svg/>")
    assert stale(tmp_path, files) == [
        f"{PAGE}: is not what docs/benchmarks/*.json give; run `make generate` and commit it",
        "docs/benchmarks/old.svg: no JSON gives this picture; delete it",
    ]


def test_the_committed_page_is_what_its_figures_give() -> None:
    assert stale(ROOT, outputs()) == []
