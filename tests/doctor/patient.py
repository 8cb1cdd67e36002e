"""An endpoint of the local demo that tests make ill, one way at a time, and the doctor's word on it."""

import contextlib
import copy
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpd import cli
from dpd_local import demo, plan
from dpd_local.plan import Process
from dpd_local.ports import free_ports
from dpd_local.processes import Running, is_ready, running
from support import waiting
from support.paths import EXAMPLES, TOOLS

PAGE = EXAMPLES / "llama-3.3-70b-dpd.yaml"
LONG = "The quick brown fox jumps over the lazy dog. " * 600
PATIENCE_SECONDS = 60.0
# Simulated time is slow, so that what this machine takes beside it does not count, and prompts cost none of it.
QUICK = {
    "DPD_SIM_ADMIN": "1",
    "DPD_SIM_SPEED": "0.1",
    "DPD_SIM_TIME_PREFILL_TOKEN": "1e-7",
    "DPD_SIM_TIME_PREFILL_SQUARE": "1e-13",
    "DPD_SIM_TIME_STEP": "0.0005",
    "DPD_SIM_TIME_DECODE_STEP": "0.0005",
    "DPD_SIM_METRICS_LAG": "0.05",
}


@dataclass(frozen=True)
class Change:
    """What differs from how the chart has it: variables (None: unset) and keys of one YAML file."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    file: str = "lmcache.yaml"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, process: Process) -> Process:
        """The same process, so changed."""
        variables = {**process.environment, **self.variables}
        files = {
            path: yaml.safe_dump(merged(yaml.safe_load(text), self.settings)) if path.name == self.file else text
            for path, text in process.files.items()
        }
        kept = {name: value for name, value in variables.items() if value is not None}
        return Process(**{**vars(process), "environment": kept, "files": files})


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: merged(base[key], value) for key, value in over.items() if isinstance(value, dict) and key in base}
    return {**base, **over, **inner}


class Patient:
    """The processes of one endpoint; `become` restarts those that are to differ from what they are now."""

    def __init__(self, processes: Running, folder: Path) -> None:
        self.processes = processes
        self.folder = folder
        self._own = {each.name: copy.deepcopy(each) for each in processes.plan.processes}
        self._manifests = (folder / "manifests.yaml").read_text()
        self._now: dict[str, Change] = {}
        self._hurt: set[str] = set()

    @property
    def front(self) -> str:
        return f"http://127.0.0.1:{self.processes.plan.front.port}"

    def one(self, role: str) -> Process:
        found = self.processes.plan.by_role(role)
        assert found is not None
        return found

    def become(self, **changes: Change) -> None:
        """Give each role's first process its change, undo those of the tests before, and empty all logs."""
        wanted = {self.one(role).name: change for role, change in changes.items()}
        touched = {name for name in {*wanted, *self._now} if wanted.get(name) != self._now.get(name)} | self._hurt
        if any(name.startswith("decode") for name in touched):  # senders die of a receiver that came back on its ports
            touched |= {each.name for each in self.processes.plan.of_role("prefill")}
        self._write(wanted)
        stopped = [each for each in self.processes.plan.processes if each.name in touched]
        for each in stopped:
            with contextlib.suppress(ProcessLookupError):  # it is dead already
                self.processes.kill(each)
        for log in self.folder.glob("*.log"):
            os.truncate(log, 0)
        for each in stopped:
            changed = wanted.get(each.name, Change()).of(self._own[each.name])
            each.environment.clear()  # type: ignore[attr-defined]
            each.environment.update(changed.environment)  # type: ignore[attr-defined]
            each.files.update(changed.files)  # type: ignore[attr-defined]
            self.processes.restart(each)
        self._now, self._hurt = wanted, set()
        until(lambda: is_ready(self.processes.plan.front))

    def lose(self, role: str) -> None:
        """A process dies with its node."""
        self.processes.kill(self.one(role))
        self._hurt.add(self.one(role).name)

    def fail(self, role: str) -> None:
        """An engine's core dies; its front end lives on."""
        send(f"http://127.0.0.1:{self.one(role).port}/sim/kill", {"reason": "CUDA error: an illegal memory access"})
        self._hurt.add(self.one(role).name)

    def ask(self, text: str, **headers: str) -> int:
        """Send a prompt through the router and return the status of its answer."""
        body = {"model": "/opt/ml/model", "messages": [{"role": "user", "content": text}], "max_tokens": 2}
        return send(f"{self.front}/v1/chat/completions", body, headers)

    def log(self, role: str) -> str:
        return self.processes.log(self.one(role))

    def _write(self, wanted: Mapping[str, Change]) -> None:
        documents = list(yaml.safe_load_all(self._manifests))
        for each in documents:
            change = wanted.get(each["metadata"]["name"]) if each and each["kind"] == "Deployment" else None
            for variable in each["spec"]["template"]["spec"]["containers"][0]["env"] if change else []:
                if change and variable["name"] in change.variables:
                    variable["value"] = change.variables[variable["name"]]
        (self.folder / "manifests.yaml").write_text(yaml.safe_dump_all(documents))


def send(url: str, body: Any, headers: Mapping[str, str] | None = None, seconds: float = 60.0) -> int:
    """POST JSON; returns the status."""
    more = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), more)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def until(holds: Callable[[], bool]) -> None:
    waiting.until(holds, lambda: "nothing of it", patience_seconds=PATIENCE_SECONDS, pause_seconds=0.05)


@contextlib.contextmanager
def patient(folder: Path, replicas: Mapping[str, int] | None = None, manifest: Path = PAGE) -> Iterator[Patient]:
    """Run the page's endpoint, or another manifest's, simulated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(TOOLS), prepend=os.pathsep)
        rendered = demo.render(str(manifest), folder)
    planned = plan.make(rendered, folder, free_ports, {}, plan.Runtime(environment=QUICK, replicas=replicas or {}))
    with running(planned, folder) as processes:
        yield Patient(processes, folder)


def doctor(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command in this process and return its exit code and its report."""
    out = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(out, write_through=True)):
        code = cli.main(["doctor", *arguments, "-o", "json"])
        found: dict[str, Any] = json.loads(out.getvalue())
    return code, found
