"""What the suites of the renderer share: the contract, a sound manifest to change, and the command run in process."""

import copy
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft6Validator

from dpd.checks import check_file
from dpd.cli import main
from dpd.contract import Contract
from dpd.package import contract_schema
from dpd.problems import FieldPath, Problem
from support.paths import CHART, ROOT

GPUS = {"requests": {"nvidia.com/gpu": "8"}, "limits": {"nvidia.com/gpu": "8"}}
SOUND: dict[str, Any] = {
    "apiVersion": "inference.sagemaker.aws.amazon.com/v1",
    "kind": "InferenceEndpointConfig",
    "metadata": {"name": "dpd-test", "namespace": "default"},
    "spec": {
        "instanceType": "ml.p5.48xlarge",
        "modelName": "Llama-3.3-70B-Instruct",
        "modelSourceConfig": {"modelSourceType": "s3", "s3Storage": {"bucketName": "weights", "region": "us-west-2"}},
        "pdSpec": {"prefillSpec": {"resources": GPUS}, "decodingSpec": {"resources": GPUS}},
        "worker": {
            "image": "lmcache/vllm-openai:v0.4.3",
            "args": ["--tensor-parallel-size", "8", "--gpu-memory-utilization", "0.75"],
            "modelInvocationPort": {"containerPort": 8000},
            "modelVolumeMount": {"name": "model-weights"},
            "resources": {},
            "environmentVariables": [{"name": "PYTHONHASHSEED", "value": "0"}],
        },
    },
}

Changes = dict[str, Any]
Manifest = Callable[..., str]


@dataclass(frozen=True)
class Ran:
    """What one run of the command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(contract_schema())


@pytest.fixture(scope="session")
def values_validator() -> Draft6Validator:
    return Draft6Validator(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))


@pytest.fixture
def manifest() -> Manifest:
    """Write a sound manifest, changed at dotted paths; a change to None takes the key away."""

    def build(changes: Changes | None = None, **top: Any) -> str:
        document = copy.deepcopy(SOUND) | top
        for dotted, value in (changes or {}).items():
            _set(document, dotted.split("."), value)
        return yaml.safe_dump(document, sort_keys=False)

    return build


@pytest.fixture
def problems(contract: Contract) -> Callable[[str], list[Problem]]:
    return lambda text: list(check_file(text.encode(), contract).problems)


@pytest.fixture
def said(manifest: Manifest, problems: Callable[[str], list[Problem]]) -> Callable[[Changes], list[str]]:
    """Return what is said against the sound manifest with these changes, warnings marked."""
    return lambda changes: [("" if each.is_error else "warning: ") + each.text for each in problems(manifest(changes))]


@pytest.fixture
def dpd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command in this process, in the repository's root, with bytes on standard input."""

    def run(*argv: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        try:
            code = main([str(each) for each in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture
def path_of() -> Callable[[str], FieldPath]:
    return lambda dotted: tuple(int(each) if each.isdigit() else each for each in dotted.split("."))


def _set(document: Any, steps: list[str], value: Any) -> None:
    for step in steps[:-1]:
        document = document[int(step)] if isinstance(document, list) else document.setdefault(step, {})
    if isinstance(document, list):
        document[int(steps[-1])] = value
    elif value is None:
        document.pop(steps[-1], None)
    else:
        document[steps[-1]] = value
