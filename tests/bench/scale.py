"""Beside the tests of scale: the same with 300 endpoints and 1,000 pods, as a section of the page.

Usage: python -m bench.scale [--endpoints N] [--pods N]   exits 1 when an edit is lost or a pod is asked that left.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.record import Record, Table, write
from cluster.provision import kubernetes_version
from kwok.provision import kwok_version
from scale import discovery, endpoints
from scale.planes import plane_with
from scale.usage import MIB

ENDPOINTS, PODS = 300, 1000
_ALONE = 50
_FEW = 100
# Each endpoint has three workers of one GPU at most, and one more of each role while it changes.
_WORKERS, _GPUS = 5, 8


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench.scale", description="Many endpoints and pods; writes a section.")
    parser.add_argument("--endpoints", type=int, default=ENDPOINTS)
    parser.add_argument("--pods", type=int, default=PODS)
    given = parser.parse_args(argv)
    followed = [_followed(count) for count in (_FEW, given.pods)]
    owned = _owned(given.endpoints)
    problems = [*owned.lost, *owned.left, *(line for each in followed for line in _problems(each))]
    # Of the last quarter of an hour, which is most of the run.
    found = record(owned, followed, os.getloadavg()[2])
    print("\n".join(" | ".join(row) for table in found.tables for row in table.rows))
    print("\n".join(problems), file=sys.stderr)
    if not problems:
        print(write(found))
    return 1 if problems else 0


def _owned(count: int) -> endpoints.Outcome:
    nodes = -(-count * _WORKERS // _GPUS)
    with tempfile.TemporaryDirectory(prefix="dpd-scale-") as name, plane_with(Path(name), nodes=nodes) as plane:
        folder = Path(name) / "controller"
        folder.mkdir()
        return endpoints.measure(plane, folder, count, min(_ALONE, count))


def _followed(count: int) -> discovery.Outcome:
    with tempfile.TemporaryDirectory(prefix="dpd-scale-") as name, plane_with(Path(name), 10, crds=()) as plane:
        folder = Path(name) / "router"
        folder.mkdir()
        return asyncio.run(discovery.measure(plane, folder, count, count // 10))


def _problems(outcome: discovery.Outcome) -> list[str]:
    ended = dict(outcome.tally.ends)
    odd = [] if set(ended) == {"whole"} else [f"requests ended as {ended}"]
    return [*(f"{each}: asked after it had left" for each in outcome.strays), *odd]


def record(owned: endpoints.Outcome, followed: Sequence[discovery.Outcome], load: float) -> Record:
    """Return the page's section; `load` is how many processes wanted a core at a time."""
    return Record(
        name="scale",
        title="Many endpoints, many pods",
        place=8,
        command="make scale",
        text=_text(owned, followed[-1], load),
        tables=[Table(_phases(owned)), Table(_pods(followed))],
        versions={"Kubernetes": kubernetes_version(), "kwok": kwok_version()},
        data={"endpoints": _plain(asdict(owned)), "pods": [_plain(asdict(each)) for each in followed]},
    )


def _text(owned: endpoints.Outcome, most: discovery.Outcome, load: float) -> list[str]:
    looks = owned.lookups
    return [
        f"A controller with {owned.endpoints} endpoints and a router with {most.pods} pods, beside a real API "
        "server, its controllers and scheduler, on nodes that only the API server has (kwok): their pods are "
        "ready at once, and what is left is what our own programs cost. All of it, Helm included, shares this "
        f"machine, where {load:.0f} processes wanted a core at a time: times are this machine's at that hour, "
        "processor time and memory are not.",
        "**The controller.** Half of the endpoints are created at once; then the others are created and all "
        "of them edited three times in a row; some are edited alone, there and back; all are deleted. Times "
        "are from the last change's being stored to the status' saying DeploymentComplete of that very "
        "generation (deleted: to the object's being gone), so whoever changes all of them at once waits for "
        "the queue: four endpoints are worked on at a time, and Helm takes most of it. Every endpoint's "
        "status and Deployments are then compared with its last edit: none was lost. Nothing was left after "
        "the deletions.",
        f"One look at an endpoint took {looks.mean:.2f} s in the mean of {looks.count}, Helm's runs among "
        f"them, and 99 of 100 were below {looks.below:g} s. Before there was any endpoint the controller took "
        f"{owned.idle / MIB:.0f} MiB.",
        "**The router.** It starts beside ready pods; a tenth of them leaves under load; they come back. "
        "*Asked late* are pods that leave and were given a prompt after the API server had told of it.",
    ]


def _phases(owned: endpoints.Outcome) -> list[list[str]]:
    head = ["", "endpoints", "median", "p99", "most", "processor time for each", "controller", "with Helm's processes"]
    return [
        head,
        *(
            [
                each.name,
                str(each.endpoints),
                f"{each.took.median:.1f} s",
                f"{each.took.p99:.1f} s",
                f"{each.took.most:.1f} s",
                f"{each.usage.seconds / each.endpoints:.2f} s",
                f"{each.usage.own / MIB:.0f} MiB",
                f"{each.usage.together / MIB:.0f} MiB",
            ]
            for each in owned.phases
        ),
    ]


def _pods(followed: Sequence[discovery.Outcome]) -> list[list[str]]:
    rows: list[tuple[str, Callable[[discovery.Outcome], str]]] = [
        ("ready pods", lambda each: str(each.pods)),
        ("from its start to knowing all of them", lambda each: f"{each.listed:.1f} s"),
        ("… and to all having answered it", lambda each: f"{each.proven:.1f} s"),
        ("memory", lambda each: f"{each.standing.own / MIB:.0f} MiB"),
        ("of a core, without requests", lambda each: f"{each.standing.seconds / each.seconds:.0%}"),
        ("pods that left under load", lambda each: str(each.removed)),
        ("… asked late", lambda each: str(each.later)),
        ("… the latest after the news", lambda each: f"{each.late.most:.2f} s"),
        ("from the last one's being ready again to its taking requests", lambda each: f"{each.followed:.1f} s"),
    ]
    return [[title, *(show(each) for each in followed)] for title, show in rows]


def _plain(found: dict[str, object]) -> dict[str, object]:
    """The figures without what was only of use where something went wrong."""
    return {key: each for key, each in found.items() if key not in ("log", "tally", "lost", "left", "strays")}


if __name__ == "__main__":
    sys.exit(main())
