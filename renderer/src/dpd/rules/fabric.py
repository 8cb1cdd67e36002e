"""How KV gets from prefillers to decoders: EFA with GPU-Direct RDMA, unless TCP is asked for."""

from collections.abc import Iterator

from dpd.endpoint import TRANSFER_ANNOTATION, Endpoint
from dpd.hints import listed, nearest
from dpd.instances import GPU_DIRECT_TYPES, facts_of
from dpd.problems import FieldPath, Problem, shown, warning

_ANNOTATION: FieldPath = ("metadata", "annotations", TRANSFER_ANNOTATION)
_FABRICS = ("efa", "tcp")
_TOPOLOGY: FieldPath = ("spec", "pdSpec", "topologySpec")


def annotation_is_spelt_right(endpoint: Endpoint) -> Iterator[Problem]:
    """Any annotation is legal, so a misspelt one would be passed over without a word."""
    prefix = TRANSFER_ANNOTATION.partition("/")[0]
    for key in endpoint.annotations:
        if key != TRANSFER_ANNOTATION and key.startswith(prefix) and nearest(key, [TRANSFER_ANNOTATION]):
            remedy = f"did you mean {TRANSFER_ANNOTATION}?"
            yield warning(("metadata", "annotations", key), "not an annotation that dpd reads", remedy)


def annotation_is_known(endpoint: Endpoint) -> Iterator[Problem]:
    """The annotation says efa or tcp, and says it where it matters."""
    asked = endpoint.annotations.get(TRANSFER_ANNOTATION)
    if asked is None:
        return
    if asked not in _FABRICS:
        near = nearest(asked, _FABRICS)
        remedy = f"did you mean {near}?" if near else f"write {listed(_FABRICS)}"
        yield Problem(_ANNOTATION, f"{shown(asked)} is no way to transfer KV", remedy)
    elif not endpoint.is_disaggregated:
        yield warning(_ANNOTATION, "has no effect without pdSpec", "remove it, or add pdSpec")


def types_have_gpu_direct(endpoint: Endpoint) -> Iterator[Problem]:
    """Under pdSpec every instance type has GPU-Direct RDMA, unless TCP is asked for."""
    if not endpoint.is_disaggregated or endpoint.annotations.get(TRANSFER_ANNOTATION) == "tcp":
        return
    for instance_type in endpoint.instance_types:
        facts = facts_of(instance_type)
        if facts and facts.gpu_direct:
            continue
        near = None if facts else nearest(instance_type, GPU_DIRECT_TYPES)
        first = (
            f"did you mean {near}? Otherwise"
            if near and near != instance_type
            else f"use {listed(GPU_DIRECT_TYPES)}, or"
        )
        fact = f"{shown(instance_type)} is not supported by pdSpec, which needs GPU-Direct RDMA over EFA"
        remedy = f"{first} set annotation {TRANSFER_ANNOTATION}: tcp"
        yield Problem(_path_of(endpoint, instance_type), fact, remedy)


def efa_stays_in_one_zone(endpoint: Endpoint) -> Iterator[Problem]:
    """EFA does not leave an availability zone."""
    topology = endpoint.part("pdSpec", "topologySpec")
    tcp = endpoint.annotations.get(TRANSFER_ANNOTATION) == "tcp"
    if topology.get("sameAZ") is False and not topology.get("availabilityZone") and not tcp:
        fact = "is false, and EFA does not reach from one availability zone into another"
        yield warning((*_TOPOLOGY, "sameAZ"), fact, "remove it, or name an availabilityZone")


def _path_of(endpoint: Endpoint, instance_type: str) -> FieldPath:
    if endpoint.spec.get("instanceType") == instance_type:
        return ("spec", "instanceType")
    if instance_type in (endpoint.spec.get("instanceTypes") or []):
        return ("spec", "instanceTypes", endpoint.spec["instanceTypes"].index(instance_type))
    for role in endpoint.roles:
        if role.instance_types == (instance_type,) and "nodeAffinity" not in endpoint.spec:
            return (*role.path, "nodeSelector")
    return ("spec", "nodeAffinity")
