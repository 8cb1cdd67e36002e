"""Helm as the tests call it, and what it renders as Python values."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.paths import CASES, CHART, ROOT, TOOLS

# Helm 3, built without link flags, takes a cluster far too old for granted.
KUBE_VERSION = "1.33.0"

Manifest = Mapping[str, Any]

# libyaml's parser where the platform has it: the same documents, ten times sooner.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RefusedError(Exception):
    """Helm refused the values; the message is its standard error."""


@cache
def template(program: str, values: Path, *flags: str, chart: Path = CHART) -> str:
    """Return what `helm template` prints; raise RefusedError with its complaint."""
    command = [TOOLS / program, "template", "x", chart, "--values", values, "--kube-version", KUBE_VERSION, *flags]
    # What an installation consists of; the pod of `helm test` is made by nobody else.
    command += [] if "--show-only" in flags else ["--skip-tests"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


@cache
def manifests(text: str) -> list[Manifest]:
    """Return the documents of a rendered chart, the empty ones left out. They are shared: change none."""
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


def shapes() -> list[Path]:
    """Every values file that must render: the chart's own shapes and the accepted cases'."""
    return sorted(CHART.glob("ci/**/*-values.yaml")) + sorted(CASES.glob("accept/*/values.yaml"))


def shape_name(values: Path) -> str:
    """Return the name of a values file among shapes()."""
    return values.parent.name if values.name == "values.yaml" else f"ci-{values.name.removesuffix('-values.yaml')}"


def of_kind(documents: list[Manifest], kind: str) -> list[Manifest]:
    """Return the documents of one kind."""
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the one document of that kind and name."""
    (found,) = [document for document in of_kind(documents, kind) if document["metadata"]["name"] == name]
    return found


def pod_spec(deployment: Manifest) -> Any:
    """Return the pod spec of a Deployment."""
    return deployment["spec"]["template"]["spec"]


def role_of(deployment: Manifest) -> str:
    """Return prefill, decode, worker or router."""
    component: str = deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
    return component


def workers(documents: list[Manifest]) -> list[Manifest]:
    """Return the Deployments that run engines."""
    return [each for each in of_kind(documents, "Deployment") if role_of(each) != "router"]
