import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import manifests, of_kind, shape_name, shapes, template
from cluster.control import ControlPlane
from cluster.provision import kubernetes_version
from dpd.cli import main
from e2e.admission import Admission
from support.direct import Direct
from support.paths import CASES, CHART, EXAMPLES, ROOT, TOOLS

pytestmark = pytest.mark.slow

PAGE = CASES / "accept/dpd-page"
GOLDENS = sorted(CASES.glob("accept/*/manifests.yaml"))
ENDPOINTS = sorted(CASES.glob("accept/*/endpoint.yaml")) + sorted(EXAMPLES.glob("*.yaml"))
# As helm 4 sends objects: lists with keys are checked for doubles, too.
BY_THE_SERVER = "--server-side"


def case_name(path: Path) -> str:
    return path.parent.name if path.is_relative_to(CASES) else path.stem


def has_empty_keys(held: Any) -> bool:
    if isinstance(held, dict):
        return any(map(has_empty_keys, held.values()))
    return any(map(has_empty_keys, held)) if isinstance(held, list) else held is None


def is_whole(endpoint: Path) -> bool:
    return not any(map(has_empty_keys, yaml.safe_load_all(endpoint.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("golden", GOLDENS, ids=case_name)
def test_every_object_of_a_case_is_accepted_without_a_warning(golden: Path, admission: Admission) -> None:
    assert admission.refusals(golden.read_text(encoding="utf-8"), BY_THE_SERVER) == []


def test_every_object_of_the_page_is_accepted_as_helm_3_sends_it(admission: Admission) -> None:
    assert admission.refusals((PAGE / "manifests.yaml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("values", [each for each in shapes() if each.is_relative_to(CHART)], ids=shape_name)
def test_every_object_of_a_shape_of_the_chart_is_accepted_without_a_warning(values: Path, admission: Admission) -> None:
    assert admission.refusals(template("helm", values), BY_THE_SERVER) == []


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=case_name)
def test_every_object_of_an_example_is_accepted_without_a_warning(
    example: Path, admission: Admission, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    assert main(["render", str(example), "--output", str(values)]) == 0
    assert admission.refusals(template("helm", values), BY_THE_SERVER) == []


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if is_whole(each)], ids=case_name)
def test_the_endpoint_itself_is_accepted_without_a_warning(endpoint: Path, admission: Admission) -> None:
    assert admission.refusals(endpoint.read_text(encoding="utf-8"), BY_THE_SERVER) == []


def test_a_key_without_a_value_which_dpd_takes_for_absent_is_refused(admission: Admission) -> None:
    endpoint = (CASES / "accept/unwise-colocated/endpoint.yaml").read_text(encoding="utf-8")
    said = admission.refusals(endpoint, BY_THE_SERVER)
    assert any("spec.pdSpec in body must be of type object" in line for line in said)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_helm_installs_the_page_against_the_server_without_storing_it(helm: str, admission: Admission) -> None:
    admission.make_namespaces(["hyperpod-inference-system"])
    command = [TOOLS / helm, "install", "dpd-test", CHART, "--values", PAGE / "values.yaml", "--dry-run=server"]
    done = subprocess.run(
        [*map(str, command), f"--kubeconfig={admission.plane.kubeconfig}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "name: prefill-dpd-test" in done.stdout


def test_an_object_with_a_field_nobody_knows_is_refused(admission: Admission) -> None:
    golden = (PAGE / "manifests.yaml").read_text(encoding="utf-8")
    spoilt = golden.replace("progressDeadlineSeconds:", "progressDeadlineSecond:", 1)
    said = admission.refusals(spoilt, BY_THE_SERVER)
    assert any(".spec.progressDeadlineSecond: field not declared in schema" in line for line in said)


def test_an_object_sent_without_kubectl_is_held_to_the_same(direct: Direct) -> None:
    deployment = of_kind(manifests(template("helm", PAGE / "values.yaml")), "Deployment")[0]
    assert direct.objections(deployment) == []
    said = direct.objections({**deployment, "spec": {**deployment["spec"], "replica": 2}})
    assert any(".spec.replica: field not declared in schema" in line for line in said)


def test_an_endpoint_with_a_field_nobody_knows_is_refused(admission: Admission) -> None:
    endpoint = (PAGE / "endpoint.yaml").read_text(encoding="utf-8")
    said = admission.refusals(endpoint.replace("  modelName:", "  modelNames: x\n  modelName:", 1))
    assert any('unknown field "spec.modelNames"' in line for line in said)


def test_the_server_is_the_kubernetes_that_is_pinned(api_server: ControlPlane) -> None:
    assert f"Server Version: {kubernetes_version()}" in api_server.must("version")


def test_the_platforms_kinds_are_served(api_server: ControlPlane) -> None:
    served = api_server.must("api-resources", "--output=name").split()
    assert {
        "scaledobjects.keda.sh",
        "podmonitors.monitoring.coreos.com",
        "certificates.cert-manager.io",
        "httproutes.gateway.networking.k8s.io",
        "inferenceendpointconfigs.inference.sagemaker.aws.amazon.com",
    } <= set(served)
