"""One release, upgraded to the other shape and back: the API server holds what the shape has, and no more."""

import json
import subprocess

import pytest

from chart.helm import manifests, template
from cluster.control import ControlPlane
from e2e.admission import Admission
from support.paths import CHART, ROOT, TOOLS

pytestmark = pytest.mark.slow

VALUES = CHART / "ci/shapes/dpd-values.yaml"
# Each shape with its own autoscaling, so that autoscalers come and go too.
SHAPES = {
    "disaggregated": "autoscaling.prometheus.serverAddress=http://prometheus:9090,"
    "pdSpec.autoScalingSpec.prefillAutoScaling.maxReplicaCount=3",
    "colocated": "autoscaling.prometheus.serverAddress=http://prometheus:9090,pdSpec=null,autoScalingSpec.maxReplicaCount=3",
    "colocated-fixed": "pdSpec=null,replicas=2",
}
ORDERS = {
    "disaggregated-first": ["disaggregated", "colocated", "disaggregated"],
    "colocated-first": ["colocated", "disaggregated", "colocated-fixed"],
}


def flags(name: str, shape: str) -> list[str]:
    return ["--set", f"nameOverride={name},namespaceOverride={name},{SHAPES[shape]}"]


def wanted(name: str, shape: str) -> set[tuple[str, str]]:
    return {
        (each["kind"], each["metadata"]["name"]) for each in manifests(template("helm", VALUES, *flags(name, shape)))
    }


def held(plane: ControlPlane, name: str, kinds: set[str]) -> set[tuple[str, str]]:
    label = f"app.kubernetes.io/instance={name}"
    found = json.loads(plane.must("get", ",".join(sorted(kinds)), "--all-namespaces", f"-l{label}", "--output=json"))
    return {(each["kind"], each["metadata"]["name"]) for each in found["items"]}


def upgrade(program: str, plane: ControlPlane, name: str, shape: str, *more: str) -> None:
    command = [TOOLS / program, "upgrade", "--install", name, CHART, "--namespace", name, "--values", VALUES]
    done = subprocess.run(
        [*map(str, command), *flags(name, shape), *more, f"--kubeconfig={plane.kubeconfig}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_a_release_that_changes_its_shape_leaves_nothing_behind(
    program: str, order: list[str], admission: Admission
) -> None:
    name = f"{program}-{order[0]}"
    rendered = [each for shape in order for each in manifests(template("helm", VALUES, *flags(name, shape)))]
    kinds = {each["kind"] for each in rendered}
    admission.make_namespaces([name, "hyperpod-inference-system"])
    for shape in order:
        upgrade(program, admission.plane, name, shape)
        assert held(admission.plane, name, kinds) == wanted(name, shape), shape


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_an_upgrade_leaves_replicas_to_the_autoscaler(program: str, admission: Admission) -> None:
    name = f"{program}-scaled"
    admission.make_namespaces([name, "hyperpod-inference-system"])
    upgrade(program, admission.plane, name, "disaggregated")
    workload = [f"deployment/prefill-{name}", "--namespace", name]
    admission.plane.must("scale", *workload, "--replicas=3")
    upgrade(program, admission.plane, name, "disaggregated", "--set", "shm.sizeLimit=8Gi")
    assert admission.plane.must("get", *workload, "--output=jsonpath={.spec.replicas}") == "3"
    volumes = admission.plane.must("get", *workload, "--output=jsonpath={.spec.template.spec.volumes}")
    assert '"sizeLimit":"8Gi"' in volumes
