"""Beside the routers: what `dpd render` takes, and what the chart does, beside a bare one of as many objects.

Usage: python -m bench.render [--rounds N]. `bars` is what `make bench` judges. A figure is the processor time of the
whole process: what it takes on a machine with nothing else to do, for it does one thing at a time.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from bench.bars import Bar
from bench.record import Axis, Bars, Record, Table, installed, write
from provision import pinned
from support.paths import CHART, EXAMPLES, ROOT, TOOLS

EXAMPLE = EXAMPLES / "llama-3.3-70b-dpd.yaml"
MANY, ONE_SECONDS, MANY_SECONDS, CHART_RATIO = 1_000, 0.35, 5.0, 2.0
ONE, ALL, TEMPLATE = "dpd render, one manifest", f"dpd render, {MANY:,} manifests in one call", "helm template"
KUBE_VERSION = "1.33.0"
COMMAND = "python -m bench.render"
ABOUT = [
    "The commands as a user types them, whole processes from start to end: `dpd render` of the DPD example, of a "
    "thousand manifests (each of the examples again and again, under names of their own) into a folder, and `helm "
    "template` of the DPD example beside that of a bare chart, whose templates are the very objects that ours gives, "
    "with nothing to work out.",
    "Helm goes through every template of a chart whether it draws anything or not, reads the chart's schema and checks "
    "the values by it; that is what the bare one has none of.",
]


@dataclass(frozen=True)
class Took:
    """Processor time of a process and its children, and the time that went by, in seconds."""

    processor: float
    wall: float


TRIES = 9
"""The middle one of a round counts."""


def took(command: Sequence[str | Path]) -> Took:
    """Run a command. Raises CalledProcessError when it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def manifests(folder: Path, count: int) -> list[Path]:
    """Write so many manifests, the examples in turn with names of their own."""
    examples = [yaml.safe_load(each.read_text(encoding="utf-8")) for each in sorted(EXAMPLES.glob("*.yaml"))]
    files = []
    for number in range(count):
        document = examples[number % len(examples)]
        document["metadata"]["name"] = f"endpoint-{number}"
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return files


def helm(chart: Path, *flags: str | Path) -> list[str | Path]:
    """Return the command that renders a chart, as an installation would."""
    return [TOOLS / "helm", "template", "x", chart, "--kube-version", KUBE_VERSION, "--skip-tests", *flags]


def bare(folder: Path, values: Path) -> tuple[Path, int]:
    """Write a chart whose templates are what ours renders of some values; return it, and how many objects it has."""
    done = subprocess.run(list(map(str, helm(CHART, "-f", values))), check=True, capture_output=True, text=True)
    documents = [each for each in yaml.safe_load_all(done.stdout) if each]
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "bare", "version": "0.1.0"}))
    for number, document in enumerate(documents):
        text = yaml.safe_dump(document).replace("{{", '{{ "{{" }}')
        (folder / "templates" / f"{number}.yaml").write_text(text, encoding="utf-8")
    return folder, len(documents)


def measured(rounds: int, many: int = MANY) -> tuple[dict[str, list[Took]], int]:
    """Measure in turn, round by round; return what each took, and the objects of the chart."""
    found: dict[str, list[Took]] = {}
    dpd = [sys.executable, "-m", "dpd", "render"]
    with tempfile.TemporaryDirectory(prefix="dpd-bench-") as name:
        folder = Path(name)
        files, out, values = manifests(folder, many), folder / "out", folder / "values.yaml"
        out.mkdir()
        subprocess.run([*dpd, EXAMPLE, "-o", values], check=True, stdout=subprocess.DEVNULL)
        plain, objects = bare(folder / "bare", values)
        commands: Mapping[str, Sequence[str | Path]] = {
            ONE: [*dpd, EXAMPLE, "-o", os.devnull],
            ALL: [*dpd, *files, "-o", f"{out}/"],
            f"{TEMPLATE}, DPD": helm(CHART, "-f", values),
            f"{TEMPLATE}, bare": helm(plain),
        }
        for _ in range(rounds):
            for what, middle in _round(commands).items():
                found.setdefault(what, []).append(middle)
    return found, objects


def _round(commands: Mapping[str, Sequence[str | Path]]) -> dict[str, Took]:
    """Try every command again and again, what takes seconds once; return each one's middle try.

    Helm's two take turns with nothing else between them: whichever came after a Python would find caches cold.
    """
    pair = [what for what in commands if what.startswith(TEMPLATE)]
    tried: dict[str, list[Took]] = {what: [] for what in commands}
    for group in (*([what] for what in commands if what not in pair), pair):
        for _ in range(1 if group == [ALL] else TRIES):
            for what in group:
                tried[what].append(took(commands[what]))
    return {what: sorted(tries, key=lambda each: each.processor)[len(tries) // 2] for what, tries in tried.items()}


def judged(found: Mapping[str, Sequence[Took]]) -> list[Bar]:
    """Return the bars of what was found. Decides only."""
    ours, theirs = (found.get(f"{TEMPLATE}, {each}", ()) for each in ("DPD", "bare"))
    ratios = [one.processor / other.processor for one, other in zip(ours, theirs, strict=False)]
    return [
        Bar(ONE, ONE_SECONDS, [each.processor for each in found.get(ONE, ())], "s"),
        Bar(ALL, MANY_SECONDS, [each.processor for each in found.get(ALL, ())], "s"),
        Bar(f"{TEMPLATE}: to a bare chart of as many objects", CHART_RATIO, ratios),
    ]


def bars(rounds: int = 5) -> list[Bar]:
    """Measure, and return the bars, for `make bench`."""
    return judged(measured(rounds)[0])


def record(found: Mapping[str, Sequence[Took]], objects: int, rounds: int) -> Record:
    """Return the page's section."""
    rows = [
        [what, _spread([each.processor for each in row]), _spread([each.wall for each in row])]
        for what, row in found.items()
    ]
    chart = {what: {"processor": median(each.processor for each in row)} for what, row in found.items() if what != ALL}
    return Record(
        name="render",
        title="Renderer and chart",
        place=7,
        command=COMMAND,
        text=[*ABOUT, f"The chart draws {objects} objects of the example. {rounds} rounds, medians, least and most."],
        tables=[
            Table([["bar", "most", "found", ""], *(each.row() for each in judged(found))]),
            Table([["seconds", "of processor", "that went by"], *rows]),
        ],
        bars=[Bars("Processor time of a whole process", Axis("s"), chart)],
        versions={"helm": pinned()["helm.sh/helm/v4"], **installed("PyYAML", "jsonschema")},
        data={what: [[each.processor, each.wall] for each in row] for what, row in found.items()},
    )


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> int:
    """Entry point; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    found, objects = measured(rounds)
    print("\n".join(" | ".join(each.row()) for each in judged(found)))
    print(write(record(found, objects, rounds)))
    return 0 if all(each.met for each in judged(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
