"""`dpd-demo MANIFEST`: from an InferenceEndpointConfig to two answered prompts on this machine, then nothing is left.

Renders with the same two commands a user types, runs what came out, asks, judges. Exit 0 when both paths are as they
should be, 1 when one is not or the manifest is refused, 2 for bad usage.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dpd_local import observing, plan, podspec, prompts, table, verdict
from dpd_local.manifests import Manifests, worker_container
from dpd_local.observing import BlindError, Observed, watching
from dpd_local.ports import free_ports
from dpd_local.processes import Running, StartError, running
from dpd_local.prompts import Question

if TYPE_CHECKING:
    import openai

ROOT = Path(__file__).resolve().parents[4]
CHART = ROOT / "charts" / "dpd"
ROUTED = "dpd:routed_requests"


class RenderError(Exception):
    """A command that renders refused its input; it has said why on standard error."""


def render(manifest: str, folder: Path, flags: tuple[str, ...] = ()) -> Manifests:
    """Write values.yaml and manifests.yaml into `folder` with `dpd render` and `helm template`, `flags` being helm's.

    Raises RenderError.
    """
    values, rendered = folder / "values.yaml", folder / "manifests.yaml"
    text = _run([sys.executable, "-m", "dpd", "render", manifest])
    if len(list(yaml.safe_load_all(text))) != 1:
        raise RenderError(f"{manifest}: several endpoints; the demo runs one, give it a file with one")
    values.write_text(text)
    helm = shutil.which("helm")
    if helm is None:
        raise RenderError("helm: not on PATH; run `make demo`, which builds it")
    rendered.write_text(_run([helm, "template", "demo", str(CHART), "--values", str(values), *flags]))
    return Manifests(rendered.read_text())


def _run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RenderError(f"{shlex.join(command)}: exit status {done.returncode}; its own words are above")
    return done.stdout


def threshold_of(manifests: Manifests) -> int | None:
    """The routing threshold the router was given; None when there are no prefillers."""
    router = manifests.router()
    if router is None or "prefill" not in manifests.workers():
        return None
    for each in manifests.of_kind("ConfigMap"):
        settings = plan.router_settings(each)
        if settings is not None:
            return int(settings["routing"]["threshold"])
    return None


def model_length(manifests: Manifests) -> int | None:
    """--max-model-len of the engine that answers, when it is a plain number."""
    workers = manifests.workers()
    container = worker_container(workers.get("decode") or workers["worker"])
    value = podspec.flag(podspec.arguments(container, {}), "--max-model-len")
    return int(value) if value and value.isdigit() else None


def ask(client: "openai.OpenAI", model: str, question: Question) -> tuple[str, float]:
    """Stream one answer; returns its text and the seconds to its first token."""
    start = time.monotonic()
    first = None
    pieces = []
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question.text}],
        max_tokens=question.max_tokens,
        temperature=0.0,
        stream=True,
    )
    for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first = first if first is not None else time.monotonic() - start
            pieces.append(text)
    return "".join(pieces), first or 0.0


def converse(client: "openai.OpenAI", model: str, processes: Running, both: tuple[Question, Question]) -> list[str]:
    """Ask both questions, print what was seen, return every fault."""
    router, decoder = processes.plan.by_role("router"), processes.plan.by_role("decode")
    found: list[str] = []
    for question in both:
        marks = [(each, len(processes.log(each))) for each in (router, decoder) if each]
        answer, seconds = ask(client, model, question)
        logs = {each.role: processes.log(each)[mark:] for each, mark in marks}
        evidence = verdict.Evidence(answer, logs.get("router", ""), logs.get("decode", ""))
        report(question, evidence, seconds)
        found += verdict.faults(question, evidence, routed=router is not None and decoder is not None)
    return found


def report(question: Question, evidence: verdict.Evidence, seconds: float) -> None:
    """Print one question's outcome."""
    print(f"\n{question.title}: {len(question.text)} characters, first token after {seconds:.2f} s")
    print(f"  decision  {evidence.decision or '(no router: answered by the worker itself)'}")
    if question.disaggregated:
        print(f"  transfer  {(evidence.retrieved or '(the decoder logged no retrieval)').strip()}")
    print(f"  answer    {shorten(evidence.answer)}")


def shorten(text: str, width: int = 100) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def introduce(manifest: str, folder: Path, processes: Running) -> None:
    """Print what runs and where its files are."""
    rows = (("manifest", manifest), ("values", folder / "values.yaml"), ("manifests", folder / "manifests.yaml"))
    for title, value in (*rows, ("logs", folder / "*.log")):
        print(f"{title:<11} {value}")
    pids = processes.pids()
    for each in processes.plan.processes:
        print(f"started     {each.name} ({each.role}) at {podspec.LOOPBACK}:{each.port}, pid {pids[each.name]}")
        roles = sorted(set(verdict.ROLE.findall(processes.log(each))))
        if roles:
            print(f"            it says {', '.join(roles)}")
        for note in each.notes:
            print(f"            {note}")


def address(processes: Running) -> str:
    """Where a client asks."""
    return f"http://{podspec.LOOPBACK}:{processes.plan.front.port}"


def farewell(front: str, model: str, keep: bool) -> None:
    """Say how to keep it running and how to call it; kept, wait for the end."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20})
    call = ["curl", "-s", f"{front}/v1/chat/completions", "-H", "Content-Type: application/json", "-d", body]
    if not keep:
        print(f"\nTo keep it running: make demo KEEP=1. Then call it, at the port it prints:\n  {shlex.join(call)}")
        return
    print(f"\nIt keeps running until Ctrl-C. Call it:\n  {shlex.join(call)}", flush=True)
    signal.pause()


def tabulate(client: "openai.OpenAI", model: str, observed: Observed, both: tuple[Question, Question]) -> None:
    """Ask on until Prometheus knows every metric of the page, and print them."""
    wanted = [each for each in observing.eight(CHART) if each[1] in observed.records]
    if not wanted:
        print(f"\nPrometheus answers at {observed.address}; without a router there are none of the page's metrics.")
        return

    def again(number: int) -> None:
        """Ask one of the two questions in words that no cache has seen."""
        asked = both[number % 2]
        ask(client, model, replace(asked, text=f"Request {number}. {asked.text}"[: len(asked.text)]))

    count = table.under_load(again, lambda: all(table.query(observed.address, name) for _, name, _ in wanted))
    done = len(both) + count
    table.settle(lambda: sum(value for _, value in table.query(observed.address, ROUTED)) >= done)
    print(f"\nWhat Prometheus makes of it, after {count} more requests, {table.AT_A_TIME} at a time:")
    print("\n".join(table.lines(observed.address, wanted)))
    print(f"\nIt answers at {observed.address}; {observed.dashboard} is the dashboard, for Grafana.")


def demonstrate(manifest: str, folder: Path, keep: bool, prometheus: str) -> int:
    """The whole demo in a folder; returns the exit status. Raises StartError, RenderError, BlindError."""
    import openai  # takes a second: here, so that main() meets a Ctrl-C meanwhile

    manifests = render(manifest, folder, observing.ASK_FOR if prometheus else ())
    both = prompts.questions(threshold_of(manifests), model_length(manifests))
    planned = plan.make(manifests, folder, free_ports, os.environ)
    eye = observing.process(prometheus, manifests, planned, folder, free_ports) if prometheus else None
    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(running(planned, folder))
        observed = stack.enter_context(watching(eye, manifests, folder)) if eye else None
        introduce(manifest, folder, processes)
        client = openai.OpenAI(base_url=f"{address(processes)}/v1", api_key="unused", max_retries=0)
        model = ""
        try:
            model = client.models.list().data[0].id
            found = converse(client, model, processes, both)
            if observed and not found:
                tabulate(client, model, observed, both)
        except openai.APIError as error:
            found = [f"the endpoint did not answer: {error}; read the logs"]
        if found:
            print("\n" + "\n".join(f"wrong: {each}" for each in found), file=sys.stderr)
            print(processes.tails(), file=sys.stderr)
            return 1
        print("\nBoth prompts went the way they should.")
        farewell(address(processes), model, keep)
        return 0


def guarded(manifest: str, keep: bool, prometheus: str) -> int:
    """Run the demo in a folder of its own and turn what can go wrong around it into a line and an exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="dpd-demo-") as folder:
            status = demonstrate(manifest, Path(folder), keep, prometheus)
            sys.stdout.flush()
            return status
    except (RenderError, StartError, BlindError) as error:
        print(f"dpd-demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"dpd-demo: {error}; it needs a folder to write to and an output that takes its report", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def main() -> int:
    """Entry point of `dpd-demo`."""
    parser = argparse.ArgumentParser(prog="dpd-demo", description="Run an endpoint's manifest on this machine.")
    parser.add_argument("manifest", help="an InferenceEndpointConfig with one endpoint")
    parser.add_argument("--keep", action="store_true", help="keep it running until Ctrl-C")
    parser.add_argument(
        "--observe", default="", metavar="PROMETHEUS", help="let this Prometheus scrape it, and tabulate"
    )
    options = parser.parse_args()
    if not Path(options.manifest).is_file():
        fact = "is a folder" if Path(options.manifest).is_dir() else "no such file"
        print(f"{options.manifest}: {fact}; give the path of an InferenceEndpointConfig", file=sys.stderr)
        return 2
    return guarded(options.manifest, options.keep, options.observe)


if __name__ == "__main__":
    sys.exit(main())
