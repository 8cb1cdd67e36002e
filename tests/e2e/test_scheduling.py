"""Where workers land: the rendered pods, a real scheduler, and nodes of two zones."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chart.helm import Manifest, manifests, of_kind, template, workers
from cluster.control import ControlPlane
from e2e.admission import Admission
from e2e.scheduling import Node, nodes, places, pods, scheduler
from support.paths import CHART

pytestmark = pytest.mark.slow

# Weights from a hub, for nobody binds claims here.
HUB = "modelSourceConfig.modelSourceType=huggingface,modelSourceConfig.huggingFaceModel.modelId=a/b"
ROUNDS = range(3)


@pytest.fixture(scope="module")
def plane(admission: Admission, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with scheduler(admission.plane, tmp_path_factory.mktemp("scheduler")):
        yield admission.plane


def rendered(name: str, *flags: str) -> list[Manifest]:
    names = f"nameOverride={name},namespaceOverride={name},{HUB}"
    text = template("helm", CHART / "ci/shapes/dpd-values.yaml", "--set", ",".join([names, *flags]))
    return manifests(text)


def landed(plane: ControlPlane, admission: Admission, name: str, documents: list[Manifest], count: int = 1) -> Any:
    """Create `count` pods of every worker Deployment, one after the other; return pod name → node name."""
    admission.make_namespaces([name])
    account = of_kind(documents, "ServiceAccount")
    for each in [*account, *(pod for deployment in workers(documents) for pod in pods(deployment, count))]:
        if each["metadata"]["namespace"] == name:
            plane.must("create", "--filename=-", text=json.dumps(each))
    created = [f"{each['metadata']['name']}-{index}" for each in workers(documents) for index in range(count)]
    try:
        return places(plane, name, created)
    finally:
        plane.must("delete", "pods", "--all", "--namespace", name, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.parametrize("attempt", ROUNDS)
def test_both_roles_land_in_one_zone_that_nobody_named(attempt: int, plane: ControlPlane, admission: Admission) -> None:
    name = f"one-zone-{attempt}"
    stock = [Node(f"{name}-{zone}{index}", zone) for zone in ("east-a", "east-b") for index in range(2)]
    with nodes(plane, *stock):
        found = landed(plane, admission, name, rendered(name), count=1)
    zones = {each.name: each.zone for each in stock}
    assert len({zones[node] for node in found.values()}) == 1
    assert len(set(found.values())) == 2


def test_a_role_that_finds_no_room_in_the_others_zone_waits(plane: ControlPlane, admission: Admission) -> None:
    with nodes(plane, Node("narrow-a", "east-a"), Node("narrow-b", "east-b")):
        found = landed(plane, admission, "narrow", rendered("narrow"))
    assert sorted(node == "" for node in found.values()) == [False, True]


def test_roles_may_part_when_the_manifest_lets_them(plane: ControlPlane, admission: Admission) -> None:
    with nodes(plane, Node("parted-a", "east-a"), Node("parted-b", "east-b")):
        found = landed(plane, admission, "parted", rendered("parted", "pdSpec.topologySpec.sameAZ=false"))
    assert set(found.values()) == {"parted-a", "parted-b"}


def test_the_zone_that_is_named_is_the_zone(plane: ControlPlane, admission: Admission) -> None:
    stock = [Node(f"named-{zone}{index}", zone) for zone in ("east-a", "east-b") for index in range(2)]
    with nodes(plane, *stock):
        found = landed(plane, admission, "named", rendered("named", "pdSpec.topologySpec.availabilityZone=east-b"))
    assert set(found.values()) == {"named-east-b0", "named-east-b1"}


def test_earlier_instance_types_are_filled_first(plane: ControlPlane, admission: Admission) -> None:
    types = "instanceType=null,instanceTypes={ml.p5en.48xlarge,ml.p5e.48xlarge,ml.p5.48xlarge}"
    stock = [Node(f"types-{kind}", "east-a", f"ml.{kind}.48xlarge") for kind in ("p5", "p5e", "p5en", "p4d")]
    with nodes(plane, *stock):
        found = landed(plane, admission, "types", rendered("types", types))
    assert set(found.values()) == {"types-p5e", "types-p5en"}


def test_a_placement_group_is_kept_to(plane: ControlPlane, admission: Admission) -> None:
    group = (("karpenter.k8s.aws/placement-group-id", "pg-1"),)
    stock = [Node("grouped-0", "east-a", labels=group), Node("grouped-1", "east-a", labels=group)]
    with nodes(plane, *stock, Node("grouped-2", "east-a"), Node("grouped-3", "east-a")):
        found = landed(plane, admission, "grouped", rendered("grouped", "pdSpec.topologySpec.placementGroup=pg-1"))
    assert set(found.values()) == {"grouped-0", "grouped-1"}


def test_tainted_nodes_take_those_who_tolerate_them(plane: ControlPlane, admission: Admission) -> None:
    stock = [Node(f"tainted-{index}", "east-a", taint="nvidia.com/gpu") for index in range(2)]
    with nodes(plane, *stock):
        found = landed(plane, admission, "refused", rendered("refused"))
        assert set(found.values()) == {""}
        tolerant = rendered("tolerant", "tolerations[0].key=nvidia.com/gpu,tolerations[0].operator=Exists")
        found = landed(plane, admission, "tolerant", tolerant)
    assert set(found.values()) == {"tainted-0", "tainted-1"}


def test_a_role_keeps_to_its_own_nodes(plane: ControlPlane, admission: Admission) -> None:
    pool = {role: (("example.com/pool", role),) for role in ("prefill", "decode")}
    selectors = [
        f"pdSpec.{role}Spec.nodeSelector.example\\.com/pool={name}"
        for role, name in (("prefill", "prefill"), ("decoding", "decode"))
    ]
    documents = rendered("pools", *selectors)
    with nodes(plane, *(Node(f"pools-{role}", "east-a", labels=labels) for role, labels in pool.items())):
        found = landed(plane, admission, "pools", documents)
    assert found == {"prefill-pools-0": "pools-prefill", "decode-pools-0": "pools-decode"}
