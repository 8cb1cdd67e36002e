"""Second stop: from endpoint.yaml to running engines, by two commands a user types and the pods' own specifications."""

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dpd_local import plan
from dpd_local.demo import render
from dpd_local.plan import Plan, Process, Runtime
from dpd_local.podspec import LOOPBACK
from dpd_local.ports import free_ports
from dpd_local.processes import Running, running
from engines.harness.build import ENGINES, Environment

READY_SECONDS = 400.0
KNOWN_SECONDS = 30.0
Document = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that runs: its processes and where to ask."""

    processes: Running

    def one(self, role: str) -> Process:
        """The first process of a role: prefill, decode, worker or router."""
        found = self.processes.plan.by_role(role)
        if found is None:
            raise KeyError(f"{role}: this endpoint has none")
        return found

    def url(self, role: str | None = None) -> str:
        """Where a client asks; with a role, where that engine itself listens."""
        process = self.one(role) if role else self.processes.plan.front
        return f"http://{LOOPBACK}:{process.port}"

    def log(self, role: str, since: int = 0) -> str:
        """What the first process of a role has printed, from a mark on."""
        return self.processes.log(self.one(role))[since:]

    def logs(self, role: str) -> list[str]:
        """What each process of a role has printed."""
        return [self.processes.log(each) for each in self.processes.plan.of_role(role)]

    def mark(self, role: str) -> int:
        """Where a log ends now."""
        return len(self.log(role))


def document() -> Document:
    """The InferenceEndpointConfig that all tests start from."""
    loaded: Document = yaml.safe_load((ENGINES / "endpoint.yaml").read_text())
    return loaded


def colocated(disaggregated: Document) -> Document:
    """The same endpoint without prefillers and router: one engine that does everything."""
    changed = copy.deepcopy(disaggregated)
    del changed["spec"]["pdSpec"]
    del changed["spec"]["intelligentRoutingSpec"]
    del changed["metadata"]["annotations"]
    changed["metadata"]["name"] = "colocated"
    return changed


def by_nixl_connector(endpoint: Document) -> Document:
    """The same endpoint with vLLM's NixlConnector in place of LMCache: the decoder fetches what the prefiller holds."""
    changed = copy.deepcopy(endpoint)
    changed["metadata"]["name"] = "tiny-nixl"
    changed["metadata"]["annotations"]["inference.sagemaker.aws.amazon.com/dpd-connector"] = "nixl"
    return changed


def with_variable(endpoint: Document, name: str, value: str) -> Document:
    """The same endpoint with another value of one of its workers' environment variables."""
    changed = copy.deepcopy(endpoint)
    variables = changed["spec"]["worker"]["environmentVariables"]
    next(each for each in variables if each["name"] == name)["value"] = value
    return changed


def with_router(planned: Plan, section: str, settings: Mapping[str, Any]) -> Plan:
    """The same plan with keys of one section of the router's configuration set."""
    router = planned.front
    files = dict(router.files)
    for path, text in router.files.items():
        if path.name == plan.ROUTER_FILE and plan.router_settings({"data": {plan.ROUTER_FILE: text}}):
            loaded = yaml.safe_load(text)
            files[path] = yaml.safe_dump({**loaded, section: {**loaded.get(section, {}), **settings}})
    return Plan((*planned.processes[:-1], replace(router, files=files)))


def real(environment: Environment) -> Runtime:
    """vLLM, LMCache and NIXL from the environment, with the tiny model where the pods mount theirs."""
    mount = document()["spec"]["worker"]["modelVolumeMount"]["mountPath"]
    return Runtime(environment.serve, {mount: environment.model})


def simulated() -> Runtime:
    """The simulator with the tiny model's shape, so that a page of its buffer weighs as much."""
    return Runtime(environment={"DPD_SIM_MODEL": "tiny", "DPD_SIM_SHAPE_HEAD_DIM": "64"})


def prepare(runtime: Runtime, endpoint: Document, folder: Path) -> Plan:
    """Render an endpoint and plan its processes."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "endpoint.yaml"
    manifest.write_text(yaml.safe_dump(endpoint))
    return plan.make(render(str(manifest), folder), folder, free_ports, {}, runtime)


@contextmanager
def serving(planned: Plan, folder: Path) -> Iterator[Endpoint]:
    """Start all processes of a plan, yield when each one is healthy and the router knows it, end them."""
    with running(planned, folder, READY_SECONDS) as processes:
        started = Endpoint(processes)
        deadline = time.monotonic() + KNOWN_SECONDS
        while unknown(started):
            assert time.monotonic() < deadline, f"the router never took up {unknown(started)}"
            time.sleep(0.1)
        yield started


def unknown(endpoint: Endpoint) -> list[str]:
    """The healthy engines that the router, if there is one, does not send requests to yet."""
    planned = endpoint.processes.plan
    if planned.front.role != "router":
        return []
    log = endpoint.log("router")
    return [
        each.name
        for each in planned.processes[:-1]
        if f"worker up: role={each.role} worker={LOOPBACK}:{each.port}\n" not in log
    ]
