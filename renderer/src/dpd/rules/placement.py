"""Where the pods may run: one way of saying it, and a type that exists."""

from collections.abc import Iterator

from dpd.endpoint import TRANSFER_ANNOTATION, Endpoint
from dpd.hints import nearest
from dpd.instances import facts_of, has_no_gpus, known_types
from dpd.placement import selected_type
from dpd.problems import FieldPath, Problem, shown, warning

_SPEC: FieldPath = ("spec",)
_EXCLUSIVE = ("instanceType", "instanceTypes", "nodeAffinity")


def one_way_of_placing(endpoint: Endpoint) -> Iterator[Problem]:
    """instanceType, instanceTypes and nodeAffinity exclude one another."""
    given = [key for key in _EXCLUSIVE if endpoint.spec.get(key)]
    if len(given) > 1:
        yield Problem((*_SPEC, given[-1]), f"set together with {' and '.join(given[:-1])}", "keep one of them")


def types_agree(endpoint: Endpoint) -> Iterator[Problem]:
    """A role's node selector may narrow instanceTypes down, not leave them."""
    allowed = endpoint.spec.get("instanceTypes") or []
    for role in endpoint.roles:
        held = endpoint.part(*(str(key) for key in role.path[1:])).get("nodeSelector") or {}
        chosen = selected_type(held)
        if chosen and allowed and chosen not in allowed:
            fact = f"asks for {shown(chosen)}, which is none of spec.instanceTypes"
            yield Problem((*role.path, "nodeSelector"), fact, "pick one of them, or add it there")


def types_are_known(endpoint: Endpoint) -> Iterator[Problem]:
    """A type outside the table means that nothing can be derived from it."""
    if endpoint.is_disaggregated and endpoint.annotations.get(TRANSFER_ANNOTATION) != "tcp":
        return  # there an unknown type is an error: see fabric
    for path, instance_type in _written_types(endpoint):
        if facts_of(instance_type) is None and not has_no_gpus(instance_type):
            near = nearest(instance_type, known_types())
            hint = f"did you mean {near}? Otherwise " if near else ""
            fact = f"{shown(instance_type)} is not in dpd's table, so nothing is derived from it"
            yield warning(path, fact, f"{hint}fill in `instance` in the values by hand")


def some_type_is_named(endpoint: Endpoint) -> Iterator[Problem]:
    """Without a type EFA cannot be counted on, which a disaggregated endpoint should know of."""
    if not endpoint.is_disaggregated or endpoint.instance_types or not endpoint.is_sound(_SPEC):
        return
    asked = endpoint.annotations.get(TRANSFER_ANNOTATION)
    if asked == "efa":
        fact = "no instance type is named, so EFA devices and huge pages cannot be counted"
        yield warning(_SPEC, fact, "add instanceType, or fill in `instance` in the values by hand")
    elif asked is None:
        fact = "no instance type is named, so KV is carried over TCP, which is slow"
        remedy = f"add instanceType, or say tcp or efa in annotation {TRANSFER_ANNOTATION}"
        yield warning(_SPEC, fact, remedy)


def _written_types(endpoint: Endpoint) -> Iterator[tuple[FieldPath, str]]:
    if endpoint.spec.get("instanceType"):
        yield (*_SPEC, "instanceType"), endpoint.spec["instanceType"]
    for index, each in enumerate(endpoint.spec.get("instanceTypes") or []):
        yield (*_SPEC, "instanceTypes", index), each
