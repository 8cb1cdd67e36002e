"""What the suites here look at: the sources, and the generated files as they lie in the repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemagen.sources import Sources, load
from support.paths import ROOT

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def sources() -> Sources:
    return load(ROOT / "schemas")


@pytest.fixture(scope="session")
def contract() -> Any:
    return json.loads((ROOT / "renderer/src/dpd/contract.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def values_schema() -> Any:
    return json.loads((ROOT / "charts/dpd/values.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def crd() -> Any:
    path = ROOT / "charts/dpd-operator/crds/inferenceendpointconfigs.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def contract_tree() -> Any:
    """Return object → field → constraints, from both halves of the tree."""
    halves = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "contract-tree").glob("*.yaml"))
    ]
    return {parent: fields for half in halves for parent, fields in half.items()}


@pytest.fixture(scope="session")
def documents() -> Any:
    return yaml.safe_load((HERE / "documents.yaml").read_text(encoding="utf-8"))
