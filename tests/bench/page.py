"""`python -m bench.page [--check]`: docs/benchmarks.md and its pictures, from docs/benchmarks/*.json and nothing else.

To add a section, let a program make a `bench.record.Record` (title, place, command, paragraphs, tables, charts, bars,
figures), call `bench.record.write` and then `make generate`, and commit the JSON, the SVG and the page together.
`make verify` fails when the page or a picture is not what the JSON gives, so a figure can be changed in one place only.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.chart import picture
from bench.record import FOLDER, Record, Table, read
from support.paths import ROOT

PAGE = "docs/benchmarks.md"
HEAD = """\
<!-- Generated from docs/benchmarks/*.json by `make generate`; do not edit. -->
# What it costs, and how that grows

Every section was found by a program under `tests/bench` and is written from the figures that it stored; the command
repeats it. Processor time is that of the process that is measured, user and system; on a machine with other work it is
the figure to trust, and the ratios of one run more than the figures of two.
"""


def page(records: Mapping[str, Record]) -> str:
    """Return the page: a section for each record, by place and name."""
    ordered = sorted(records.values(), key=lambda each: (each.place, each.name))
    return "\n".join([HEAD, *("\n".join(_section(each)) for each in ordered)])


def outputs(folder: Path = FOLDER) -> dict[str, str]:
    """Return what is to be generated from a folder's records: path relative to the repository, and content."""
    records = {path.stem: read(path) for path in sorted(folder.glob("*.json"))}
    pictures = {name: picture(record) for name, record in records.items()}
    drawn = {f"docs/benchmarks/{name}.svg": content for name, content in pictures.items() if content}
    return {PAGE: page(records), **drawn}


def stale(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return one problem for each file that is missing, other than what its figures give, or without any figures."""
    problems = [
        f"{name}: is not what docs/benchmarks/*.json give; run `make generate` and commit it"
        for name, content in files.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != content
    ]
    pictures = (str(path.relative_to(root)) for path in sorted((root / "docs" / "benchmarks").glob("*.svg")))
    return problems + [f"{name}: no JSON gives this picture; delete it" for name in pictures if name not in files]


def _section(record: Record) -> Iterator[str]:
    yield f"## {record.title}\n"
    for paragraph in record.text:
        yield f"{paragraph}\n"
    for table in record.tables:
        yield _table(table)
    if record.charts or record.bars:
        yield f"![{record.title}](benchmarks/{record.name}.svg)\n"
    versions = "".join(f", {name} {number}" for name, number in sorted(record.versions.items()))
    yield f"`{record.command}`, {record.date}, {record.machine}{versions}; [figures](benchmarks/{record.name}.json)\n"


def _table(table: Table) -> str:
    head, *rows = ["| " + " | ".join(row) + " |" for row in table.rows]
    rule = "|" + "---|" * len(table.rows[0])
    return "\n".join([head, rule, *rows, ""])


def main() -> int:
    """Entry point; returns 1 when --check finds something stale."""
    parser = argparse.ArgumentParser(prog="bench.page", description="Make docs/benchmarks.md and its pictures.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    check = parser.parse_args().check
    files = outputs()
    if check:
        problems = stale(ROOT, files)
        print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
        return 1 if problems else 0
    for name, content in files.items():
        (ROOT / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
