"""`python -m dpd_local.picture PROMETHEUS OUT.svg`: what the chart's dashboard shows of some work on this machine.

The endpoint of examples/ runs as in the demo; for a while clients come and go; then Prometheus is asked what Grafana
would have asked it, panel by panel, and the answers are drawn. Nothing in the picture is from anywhere else.
"""

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from dpd_local import observing, plan, prompts
from dpd_local.demo import ROOT, address, ask, render
from dpd_local.ports import free_ports
from dpd_local.processes import running
from dpd_local.prompts import Question
from dpd_local.svg import Panel, Points, picture

EXAMPLE = ROOT / "examples" / "llama-3.3-70b-dpd.yaml"
STEP = 2.0
CLIENTS = (1, 2, 4, 8, 4, 1)
"""How many ask at a time in each sixth of the run."""
_LABEL = re.compile(r"\{\{(\w+)\}\}")


def work(asking: Callable[[int], object], seconds: float) -> None:
    """Ask for so long, with as many clients at a time as CLIENTS says."""
    asked, begun = 0, time.monotonic()
    for number, clients in enumerate(CLIENTS, start=1):
        with ThreadPoolExecutor(clients) as pool:
            while time.monotonic() < begun + seconds * number / len(CLIENTS):
                list(pool.map(asking, range(asked, asked + clients)))
                asked += clients


def series(prometheus: str, expression: str, span: tuple[float, float]) -> list[tuple[dict[str, str], Points]]:
    """What Prometheus answers for each step of the span: labels and points, NaN left out."""
    asked = {"query": expression, "start": str(span[0]), "end": str(span[1]), "step": str(STEP)}
    where = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(where, timeout=30) as answer:  # noqa: S310 - always our own http://127.0.0.1
        found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    return [
        (each["metric"], [(float(at), float(value)) for at, value in each["values"] if not math.isnan(float(value))])
        for each in found
    ]


def legend(text: str, labels: Mapping[str, str]) -> str:
    """A legend with a series' labels in it."""
    return _LABEL.sub(lambda found: labels.get(found.group(1), ""), text)


def panel(prometheus: str, drawn: dict[str, Any], span: tuple[float, float]) -> Panel:
    """One of the dashboard's panels, with what its queries give. Lines that are 0 all along give way to others."""
    lines: dict[str, Points] = {}
    for target in drawn["targets"]:
        for labels, points in series(prometheus, target["expr"], span):
            lines[legend(target["legendFormat"], labels)] = points
    moving = {name: points for name, points in lines.items() if any(value for _, value in points)}
    return Panel(drawn["title"], drawn["fieldConfig"]["defaults"]["unit"], moving or lines)


def rows(prometheus: str, board: dict[str, Any], span: tuple[float, float]) -> list[tuple[str, list[Panel]]]:
    """The dashboard's rows with their panels."""
    found: list[tuple[str, list[Panel]]] = []
    for each in board["panels"]:
        if each["type"] == "row":
            found.append((each["title"], []))
        else:
            found[-1][1].append(panel(prometheus, each, span))
    return found


def observed(program: str, seconds: float, folder: Path) -> str:
    """Run the example under load with Prometheus beside it; return the picture."""
    import openai  # takes a second

    manifests = render(str(EXAMPLE), folder, observing.ASK_FOR)
    planned = plan.make(manifests, folder, free_ports, os.environ)
    both = prompts.questions(4096, 16384)
    eye = observing.process(program, manifests, planned, folder, free_ports)
    with running(planned, folder) as processes, observing.watching(eye, manifests, folder) as seen:
        client = openai.OpenAI(base_url=f"{address(processes)}/v1", api_key="unused", max_retries=0)
        model = client.models.list().data[0].id

        def again(number: int) -> None:
            """Ask: every third prompt is short, and every long one has words that no cache has seen."""
            question: Question = both[1 if number % 3 else 0]
            ask(client, model, replace(question, text=f"Request {number}. {question.text}"[: len(question.text)]))

        begun = time.time()
        work(again, seconds)
        span = (begun, time.time())
        clients = ", ".join(map(str, CLIENTS))
        title = f"{seconds:.0f} seconds of the demo, on simulated engines, with {clients} clients at a time"
        return picture(title, rows(seen.address, json.loads(seen.dashboard.read_text()), span), span)


def main() -> int:
    """Entry point of `make picture`."""
    parser = argparse.ArgumentParser(prog="dpd-picture", description="Draw what the dashboard shows of a demo.")
    parser.add_argument("prometheus", help="the program")
    parser.add_argument("out", type=Path, help="the SVG to write")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the endpoint works")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dpd-picture-") as folder:
        options.out.write_text(observed(options.prometheus, options.seconds, Path(folder)))
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
