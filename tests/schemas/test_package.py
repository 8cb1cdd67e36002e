"""The charts as Helm 3 and Helm 4 package them: the schema travels along, and a typo is refused with its path."""

import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.paths import CHART, ROOT, TOOLS

pytestmark = pytest.mark.slow
VALUES = CHART / "ci/shapes/dpd-values.yaml"
HELMS = pytest.mark.parametrize("helm", ["helm", "helm3"])


def run(helm: str, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    command = [str(TOOLS / helm), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the packaged dpd chart, by the Helm that packaged it."""
    found = {}
    for helm in ("helm", "helm3"):
        folder = tmp_path_factory.mktemp(helm)
        done = run(helm, ["package", CHART, "-d", folder])
        assert done.returncode == 0, done.stderr
        (found[helm],) = folder.glob("dpd-*.tgz")
    return found


def template(helm: str, package: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return run(helm, ["template", "x", package, "-f", VALUES, "--kube-version", "1.33.0", *settings])


@HELMS
def test_the_package_holds_the_generated_schema(helm: str, packages: dict[str, Path]) -> None:
    with tarfile.open(packages[helm]) as archive:
        member = archive.extractfile("dpd/values.schema.json")
        assert member is not None
        assert member.read() == (CHART / "values.schema.json").read_bytes()


@HELMS
def test_the_packaged_chart_renders_good_values(helm: str, packages: dict[str, Path]) -> None:
    done = template(helm, packages[helm])
    assert done.returncode == 0, done.stderr
    assert any(each["kind"] == "Deployment" for each in yaml.safe_load_all(done.stdout) if each)


@HELMS
@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("pdSpec.prefillSpec.replcas=3", "at '/pdSpec/prefillSpec': additional properties 'replcas' not allowed"),
        ("pdspec.routingThreshold=1", "at '': additional properties 'pdspec' not allowed"),
        ("worker.probes.readinessProbe.httpget.port=1", "at '/worker/probes/readinessProbe': additional properties"),
        ("router.replcas=1", "at '/router': additional properties 'replcas' not allowed"),
        ("pdSpec.routingThreshold=-1", "at '/pdSpec/routingThreshold': minimum: got -1, want 0"),
        ("pdSpec.prefillSpec.resources.limits.cpu=8cores", "at '/pdSpec/prefillSpec/resources/limits/cpu': '8cores'"),
        ("replicas=99999999999", "at '/replicas': maximum"),
        ("modelName=null", "modelName"),
    ],
)
def test_a_mistake_in_the_values_is_refused_and_its_path_named(
    helm: str, setting: str, problem: str, packages: dict[str, Path]
) -> None:
    done = template(helm, packages[helm], "--set", setting)
    assert done.returncode != 0
    assert problem in done.stderr
    assert done.stdout == ""


@HELMS
@pytest.mark.parametrize(
    "values",
    [
        {"maxDeployTimeInSeconds": 7200, "worker": {"resources": {"limits": {"memory": 8589934592}}}},
        {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 8589934592}]},
        {"tlsConfig": None, "nodeAffinity": None},
        {"tags": [{"name": "team", "value": "a"}], "global": {"any": {"thing": 1}}},
        {"kvCacheSpec": {"l2CacheSpec": {"l2CacheBackend": "TieredStorage"}}},
    ],
    ids=["large integers", "a 64-bit integer", "nulls", "tags and global", "a case-insensitive pattern"],
)
def test_values_as_helm_hands_them_on_are_accepted(
    helm: str, values: dict[str, Any], packages: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "more.yaml"
    file.write_text(json.dumps(values), encoding="utf-8")
    done = template(helm, packages[helm], "-f", str(file))
    assert done.returncode == 0, done.stderr


@HELMS
def test_values_without_what_the_contract_requires_are_refused_all_at_once(
    helm: str, packages: dict[str, Path]
) -> None:
    done = run(helm, ["template", "x", packages[helm], "--kube-version", "1.33.0"])
    assert done.returncode != 0
    assert "missing properties 'modelName', 'modelSourceConfig', 'worker'" in done.stderr


@HELMS
def test_the_operators_chart_lints_and_brings_the_definition_and_the_controller(helm: str) -> None:
    chart = ROOT / "charts/dpd-operator"
    linted = run(helm, ["lint", "--strict", chart])
    assert linted.returncode == 0, linted.stdout + linted.stderr
    done = run(helm, ["template", "x", chart, "--include-crds"])
    kinds = [each["kind"] for each in yaml.safe_load_all(done.stdout) if each]
    assert kinds[0] == "CustomResourceDefinition"
    assert "Deployment" in kinds
