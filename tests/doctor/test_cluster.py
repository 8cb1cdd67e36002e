"""Faults that an API server knows of: a real one, with pods whose status is what scheduler and kubelet would write."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.control import ControlPlane
from doctor.patient import PAGE, doctor
from dpd import cli
from dpd_local import demo
from support.paths import TOOLS

NAME, SYSTEM = "dpd-test", "ill-system"
DECODER = f"decode-{NAME}"
SERVING = "default"


class Cluster:
    """The page's endpoint as stored objects."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        rendered = demo.render(str(PAGE), folder, ("--set", f"router.namespace={SYSTEM}"))
        for namespace in (SYSTEM, SERVING):
            plane.kubectl("create", "namespace", namespace)
            plane.kubectl("create", "serviceaccount", "default", f"--namespace={namespace}")
        self.objects = [*rendered.of_kind("ConfigMap"), *map(stopped, rendered.of_kind("Deployment"))]
        self.pods = [pod_of(each) for each in rendered.of_kind("Deployment")]
        text = yaml.safe_dump_all([*self.objects, *self.pods])
        plane.must("apply", "--server-side", "--filename=-", text=text)
        for each in self.pods:
            self.write(each, {"conditions": [], "containerStatuses": statuses(each)})

    def write(self, pod: Any, status: Any) -> None:
        place = f"--namespace={pod['metadata']['namespace']}"
        patch = json.dumps({"status": status})
        name = pod["metadata"]["name"]
        self.plane.must("patch", "pod", name, place, "--subresource=status", "--type=merge", f"--patch={patch}")

    @property
    def decoder(self) -> Any:
        return next(each for each in self.pods if each["metadata"]["name"].startswith("decode"))

    def event(self, reason: str, message: str) -> None:
        place = {"name": f"{reason.lower()}.1", "namespace": SERVING}
        involved = {"kind": "Pod", "name": self.decoder["metadata"]["name"], "namespace": SERVING}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": place, "involvedObject": involved}
        self.plane.must("create", "--filename=-", text=json.dumps({**event, "reason": reason, "message": message}))

    def heal(self) -> None:
        self.plane.must("delete", "events", "--all", f"--namespace={SERVING}")
        self.write(self.decoder, {"conditions": [], "containerStatuses": statuses(self.decoder)})

    def faults(self) -> list[str]:
        code, found = doctor(*self.flags)
        assert code == (1 if found["faults"] else 0)
        names: list[str] = found["faults"]
        return names

    @property
    def flags(self) -> tuple[str, ...]:
        return (NAME, "-n", SERVING, "--router-namespace", SYSTEM, "--kubeconfig", str(self.plane.kubeconfig))


def stopped(deployment: Any) -> Any:
    return {**deployment, "metadata": {**deployment["metadata"], "namespace": namespace_of(deployment)}}


def namespace_of(each: Any) -> str:
    return str(each["metadata"].get("namespace", SERVING))


def pod_of(deployment: Any) -> Any:
    template = deployment["spec"]["template"]
    containers = [
        {"name": each["name"], "image": each["image"], "env": each.get("env", [])}
        for each in template["spec"]["containers"]
    ]
    metadata = {
        "name": f"{deployment['metadata']['name']}-1",
        "namespace": namespace_of(deployment),
        "labels": template["metadata"]["labels"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def statuses(pod: Any, **first: Any) -> list[Any]:
    plain = {"restartCount": 0, "image": "", "imageID": "", "ready": True}
    found = [{**plain, "name": each["name"]} for each in pod["spec"]["containers"]]
    return [{**found[0], **first}, *found[1:]]


@pytest.fixture(scope="module")
def cluster(api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(TOOLS), prepend=":")
        made = Cluster(api_server, tmp_path_factory.mktemp("rendered"))
    yield made
    text = yaml.safe_dump_all([*made.objects, *made.pods])
    api_server.must("delete", "--ignore-not-found", "--grace-period=0", "--force", "--filename=-", text=text)


def waiting(reason: str, message: str = "") -> Any:
    return {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


def test_an_endpoint_whose_pods_are_ready_has_no_fault(cluster: Cluster) -> None:
    cluster.heal()
    assert cluster.faults() == []


def test_an_image_that_cannot_be_pulled_is_named(cluster: Cluster) -> None:
    cluster.heal()
    status = statuses(cluster.decoder, **waiting("ImagePullBackOff", "Back-off pulling image"))
    cluster.write(cluster.decoder, {"containerStatuses": status})
    assert cluster.faults() == ["image"]


@pytest.mark.parametrize(
    ("reason", "said", "fault"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "model-weights": timed out waiting', "volume"),
        ("Failed", "CA download from s3://certificates/ca.pem: connection timed out", "certificate-download"),
    ],
)
def test_what_a_pod_that_is_still_being_made_waits_for_is_named(
    cluster: Cluster, reason: str, said: str, fault: str
) -> None:
    cluster.heal()
    cluster.write(cluster.decoder, {"containerStatuses": statuses(cluster.decoder, **waiting("ContainerCreating"))})
    cluster.event(reason, said)
    assert cluster.faults() == [fault]


def test_gpus_that_no_node_offers_are_named(cluster: Cluster) -> None:
    cluster.heal()
    said = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    status = statuses(cluster.decoder, ready=False)
    cluster.write(cluster.decoder, {"conditions": [condition], "containerStatuses": status})
    assert cluster.faults() == ["gpu"]


def test_two_of_three_containers_ready_is_named(cluster: Cluster) -> None:
    cluster.heal()
    cluster.write(cluster.decoder, {"containerStatuses": statuses(cluster.decoder, ready=False)})
    assert cluster.faults() == ["loading"]


def test_a_role_without_any_pod_is_named(cluster: Cluster) -> None:
    cluster.heal()
    name = cluster.decoder["metadata"]["name"]
    cluster.plane.must("delete", "pod", name, f"--namespace={SERVING}", "--grace-period=0", "--force")
    try:
        assert cluster.faults() == ["role-missing"]
    finally:
        cluster.plane.must("apply", "--server-side", "--filename=-", text=yaml.safe_dump(cluster.decoder))


def test_an_endpoint_that_is_not_there_is_bad_usage(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with redirect_stdout(io.StringIO()):
        assert cli.main(["doctor", "nobody", *cluster.flags[1:]]) == 2
    assert "default: no Deployment of an endpoint nobody; name another with -n, or install it" in capfd.readouterr().err
