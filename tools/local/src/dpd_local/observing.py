"""A Prometheus beside the processes: it scrapes what the pods' collectors would, and runs the rules the chart draws.

Decides only; `watching` at the end starts it as the others are started.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dpd_local import podspec
from dpd_local.manifests import Manifests, Object, container
from dpd_local.plan import Plan, Ports, Process
from dpd_local.podspec import LOOPBACK
from dpd_local.processes import running

COLLECTOR = "otel-collector"
PROXY_JOB = "reverse-proxy"
INTERVAL = "1s"
WINDOW = "20s"
ASK_FOR = tuple(
    word
    for each in ("rules.enabled=true", "dashboard.enabled=true", f"window={WINDOW}")
    for word in ("--set", f"monitoring.{each}")
)
_VARIABLE = re.compile(r"\$\{env:(\w+)\}")


class BlindError(Exception):
    """There is nothing to observe; the text says why."""


@dataclass(frozen=True)
class Observed:
    """Where Prometheus answers, the rendered rules it runs, and the rendered dashboard as a file."""

    address: str
    rules: tuple[Mapping[str, Any], ...]
    dashboard: Path

    @property
    def records(self) -> tuple[str, ...]:
        """The names of what is recorded, each once."""
        return tuple(dict.fromkeys(rule["record"] for rule in self.rules if "record" in rule))


def process(program: str, manifests: Manifests, plan: Plan, folder: Path, ports: Ports) -> Process:
    """Plan the Prometheus `program` for the processes of a plan. Raises BlindError when metrics are off."""
    home = folder / "prometheus"
    settings = {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(home / "rules.yaml")],
        "scrape_configs": [job for each in plan.processes for job in _jobs(manifests, each, folder)],
    }
    port = ports(1)[0]
    flags = {"config.file": home / "prometheus.yaml", "storage.tsdb.path": home / "data", "log.level": "warn"}
    return Process(
        name="prometheus",
        role="prometheus",
        command=(
            program,
            *(f"--{name}={value}" for name, value in flags.items()),
            f"--web.listen-address={LOOPBACK}:{port}",
        ),
        environment={},
        folders=(home,),
        files={
            home / "prometheus.yaml": yaml.safe_dump(settings, sort_keys=False),
            home / "rules.yaml": yaml.safe_dump(_rules(manifests), sort_keys=False),
            folder / "dashboard.json": dashboard(manifests),
        },
        port=port,
        ready="/-/ready",
    )


def _jobs(manifests: Manifests, planned: Process, folder: Path) -> list[dict[str, Any]]:
    """What the collector of a process's pod scrapes, at the process's own port; there is no proxy here to scrape."""
    deployment = _deployment(manifests, planned)
    spec = container(deployment, COLLECTOR)
    if spec is None:
        raise BlindError(f"{planned.name}: no {COLLECTOR}; set metrics.enabled to true in the manifest")
    (text,) = podspec.mounts(manifests, deployment, spec, folder / COLLECTOR).files.values()
    variables = {**podspec.environment(manifests, deployment, spec, {}), "POD_NAME": planned.name}
    jobs = yaml.safe_load(text)["receivers"]["prometheus"]["config"]["scrape_configs"]
    return [_moved(job, planned, variables) for job in jobs if job["job_name"] != PROXY_JOB]


def _moved(job: Mapping[str, Any], planned: Process, variables: Mapping[str, str]) -> dict[str, Any]:
    (where,) = job["static_configs"]
    labels = {
        name: _VARIABLE.sub(lambda found: variables[found.group(1)], value) for name, value in where["labels"].items()
    }
    target = {"targets": [f"{LOOPBACK}:{planned.port}"], "labels": labels}
    return {**job, "job_name": f"{planned.name}/{job['job_name']}", "static_configs": [target]}


def _deployment(manifests: Manifests, planned: Process) -> Object:
    """The Deployment that a process is a pod of; the second of a role is named after the first."""
    found = manifests.router() if planned.role == "router" else manifests.workers()[planned.role]
    assert found is not None
    return found


def _rules(manifests: Manifests) -> Mapping[str, Any]:
    for each in manifests.of_kind("PrometheusRule"):
        spec: Mapping[str, Any] = each["spec"]
        return spec
    raise BlindError("manifests: no PrometheusRule; render the chart with monitoring.rules.enabled")


def dashboard(manifests: Manifests) -> str:
    """The JSON of the rendered dashboard. Raises BlindError when there is none."""
    for each in manifests.of_kind("ConfigMap"):
        for text in each["data"].values():
            if each["metadata"]["name"].endswith("-dashboard"):
                return str(text)
    raise BlindError("manifests: no dashboard; render the chart with monitoring.dashboard.enabled")


def eight(chart: Path) -> list[tuple[str, str, str]]:
    """The metrics of HyperPod's dashboard, in its order: title, name and unit, from the chart's own table."""
    rows = json.loads((chart / "files" / "monitoring.json").read_text())["rows"]
    panels = next(row["panels"] for row in rows if row["key"] == "eight")
    found = {query["record"]: (each["title"], each["unit"]) for each in panels for query in each["queries"]}
    return [(title, record, unit) for record, (title, unit) in found.items()]


@contextlib.contextmanager
def watching(planned: Process, manifests: Manifests, folder: Path) -> Iterator[Observed]:
    """Run the Prometheus that `process` planned. Raises processes.StartError."""
    rules = tuple(rule for group in _rules(manifests)["groups"] for rule in group["rules"])
    with running(Plan((planned,)), folder):
        yield Observed(f"http://{LOOPBACK}:{planned.port}", rules, folder / "dashboard.json")
