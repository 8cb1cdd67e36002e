"""How KV gets from prefillers to decoders: EFA with GPU-Direct RDMA, unless TCP is asked for, and the connector."""

from collections.abc import Iterator

from dpd.endpoint import CONNECTOR_ANNOTATION, TRANSFER_ANNOTATION, Endpoint
from dpd.hints import listed, nearest
from dpd.instances import GPU_DIRECT_TYPES, facts_of
from dpd.problems import FieldPath, Problem, shown, warning

_KNOWN = {
    TRANSFER_ANNOTATION: (("efa", "tcp"), "is no way to transfer KV"),
    CONNECTOR_ANNOTATION: (("lmcache", "nixl"), "is no connector that transfers KV"),
}
_TOPOLOGY: FieldPath = ("spec", "pdSpec", "topologySpec")


def annotation_is_spelt_right(endpoint: Endpoint) -> Iterator[Problem]:
    """Any annotation is legal, so a misspelt one would be passed over without a word."""
    prefix = TRANSFER_ANNOTATION.partition("/")[0]
    for key in endpoint.annotations:
        near = nearest(key, list(_KNOWN)) if key not in _KNOWN and key.startswith(prefix) else None
        if near:
            yield warning(("metadata", "annotations", key), "not an annotation that dpd reads", f"did you mean {near}?")


def annotation_is_known(endpoint: Endpoint) -> Iterator[Problem]:
    """An annotation says what there is, and says it where it matters."""
    for key, (choices, fact) in _KNOWN.items():
        asked = endpoint.annotations.get(key)
        path: FieldPath = ("metadata", "annotations", key)
        if asked is not None and asked not in choices:
            near = nearest(asked, choices)
            remedy = f"did you mean {near}?" if near else f"write {listed(choices)}"
            yield Problem(path, f"{shown(asked)} {fact}", remedy)
        elif asked is not None and not endpoint.is_disaggregated:
            yield warning(path, "has no effect without pdSpec", "remove it, or add pdSpec")


def connector_keeps_the_cache(endpoint: Endpoint) -> Iterator[Problem]:
    """Only LMCache has the caches of kvCacheSpec, and vLLM's own connector runs without it."""
    cache = endpoint.spec.get("kvCacheSpec")
    if not endpoint.is_disaggregated or endpoint.transfers_by_lmcache or cache is None:
        return
    if cache.get("enableL1Cache") is not False or cache.get("enableL2Cache"):
        fact = f"asks for LMCache's cache, and annotation {CONNECTOR_ANNOTATION} is nixl, which runs without LMCache"
        yield Problem(("spec", "kvCacheSpec"), fact, "remove one of them")


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
