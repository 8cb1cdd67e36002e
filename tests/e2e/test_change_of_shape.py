import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import LOADER, template
from cluster.control import ControlPlane
from dpd.cli import main
from e2e.admission import Admission
from support.paths import CASES, CHART, ROOT, TOOLS

pytestmark = pytest.mark.slow

Object = tuple[str, str, str]
Shape = Callable[[dict[str, Any]], None]
# Written by helm and by the API server itself, whatever the shape.
NOT_OURS = {"Secret", "Event", "Lease", "EndpointSlice", "Endpoints", "IPAddress"}


def disaggregated(spec: dict[str, Any]) -> None:
    assert spec["pdSpec"]


def colocated_with_a_router(spec: dict[str, Any]) -> None:
    del spec["pdSpec"]


def colocated_with_another_source(spec: dict[str, Any]) -> None:
    del spec["pdSpec"], spec["intelligentRoutingSpec"], spec["kvCacheSpec"]
    spec["modelSourceConfig"] = {"modelSourceType": "huggingface", "huggingFaceModel": {"modelId": "Qwen/Qwen3-32B"}}


CHANGES: list[tuple[Shape, Shape]] = [
    (disaggregated, colocated_with_another_source),
    (colocated_with_a_router, disaggregated),
]


def values_of(shape: Shape, name: str, folder: Path) -> Path:
    document = yaml.safe_load((CASES / "accept/dpd-page/endpoint.yaml").read_text(encoding="utf-8"))
    document["metadata"]["name"] = name
    shape(document["spec"])
    manifest, values = folder / f"{shape.__name__}.endpoint.yaml", folder / f"{shape.__name__}.yaml"
    manifest.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(["render", str(manifest), "--output", str(values)]) == 0
    return values


def upgrade(plane: ControlPlane, name: str, values: Path) -> None:
    command = [TOOLS / "helm", "upgrade", "--install", name, CHART, "--values", values]
    done = subprocess.run(
        [*map(str, command), f"--kubeconfig={plane.kubeconfig}"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def drawn(values: Path) -> set[Object]:
    found = [each for each in yaml.load_all(template("helm", values), Loader=LOADER) if each]
    hooks = [each for each in found if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    return {identity(each) for each in found if each not in hooks}


def stored(plane: ControlPlane) -> set[Object]:
    """Every object of the cluster that is not on its way out."""
    kinds = ",".join(plane.must("api-resources", "--verbs=list", "--output=name").split())
    found = json.loads(plane.must("get", kinds, "--all-namespaces", "--output=json"))["items"]
    kept = [each for each in found if "deletionTimestamp" not in each["metadata"] and each["kind"] not in NOT_OURS]
    return {identity(each) for each in kept}


def identity(document: dict[str, Any]) -> Object:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=lambda shape: shape.__name__)
def test_a_change_of_shape_leaves_nothing_behind_anywhere_in_the_cluster(
    before: Shape, after: Shape, admission: Admission, tmp_path: Path
) -> None:
    plane = admission.plane
    admission.make_namespaces(["hyperpod-inference-system"])
    name = f"moved-{CHANGES.index((before, after))}"
    there = stored(plane)
    old, new = values_of(before, name, tmp_path), values_of(after, name, tmp_path)
    upgrade(plane, name, old)
    assert stored(plane) - there == drawn(old)
    upgrade(plane, name, new)
    assert stored(plane) - there == drawn(new)
    assert drawn(old) - drawn(new), "the two shapes have the same objects, so this says nothing"
