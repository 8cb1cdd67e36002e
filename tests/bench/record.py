"""What a program found: as data, and as the tables and charts that show it. `docs/benchmarks/NAME.json` holds one.

A program makes a `Record` and calls `write`; `bench.page` makes the rest. So a result outlives the program that found
it, and says when, where, with what and by which command.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from support.paths import ROOT

FOLDER = ROOT / "docs" / "benchmarks"
Points = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Table:
    """Cells as they are to be read; the first row is the head."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Axis:
    """What an axis is of, with its unit, as in "prefixes" or "µs"; `log`: each step is ten times the last."""

    of: str
    log: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines by their legend over a common x. `dots`: single points, not joined."""

    title: str
    x: Axis
    y: Axis
    lines: Mapping[str, Points]
    dots: bool = False


@dataclass(frozen=True)
class Bars:
    """Groups of bars: for every group a value for each name, in the axis' unit."""

    title: str
    y: Axis
    groups: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Record:
    """One section of the page. `place` orders them; `text` are paragraphs of Markdown, the first says what was asked.

    `versions`: of what was measured, beside Python. `data`: the figures themselves, whatever the tables leave out.
    """

    name: str
    title: str
    place: int
    command: str
    text: Sequence[str]
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    bars: Sequence[Bars] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    machine: str = ""


def write(record: Record, folder: Path = FOLDER) -> Path:
    """Store a record with today's date and this machine; return the file. `python -m bench.page` shows it."""
    content = asdict(record)
    content["date"] = record.date or datetime.now(UTC).date().isoformat()
    content["machine"] = record.machine or machine()
    path = folder / f"{record.name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Record:
    """Return a stored record."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["tables"] = [Table(**each) for each in content["tables"]]
    content["charts"] = [
        Chart(**{**each, "x": Axis(**each["x"]), "y": Axis(**each["y"])}) for each in content["charts"]
    ]
    content["bars"] = [Bars(**{**each, "y": Axis(**each["y"])}) for each in content["bars"]]
    return Record(**content)


def machine() -> str:
    """Say what this runs on, without its name."""
    found = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    kind = " ".join(found[0].split()) if found else platform.machine()
    return f"{os.cpu_count()} cores ({kind}), {platform.system()}, Python {platform.python_version()}"


def installed(*packages: str) -> dict[str, str]:
    """Return the versions of some Python packages."""
    return {each: version(each) for each in packages}


def told(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the version that a program tells of itself, on either output. Raises RuntimeError when it tells none."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    if found is None:
        raise RuntimeError(f"{' '.join(command)}: tells no version: {(done.stdout + done.stderr).strip()!r}")
    return found[0]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
