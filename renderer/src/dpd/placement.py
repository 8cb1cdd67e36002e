"""Which instance types a manifest names: instanceType, instanceTypes, or a well-known node label."""

from collections.abc import Mapping
from typing import Any

INSTANCE_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")

Tree = Mapping[str, Any]


def named_types(spec: Tree, node_selector: Mapping[str, str]) -> tuple[str, ...]:
    """Return the types pods may run on: of a role's node selector, else of the spec; empty when none is named."""
    by_selector = selected_type(node_selector)
    if by_selector:
        return (by_selector,)
    if spec.get("instanceType"):
        return (spec["instanceType"],)
    if spec.get("instanceTypes"):
        return tuple(dict.fromkeys(spec["instanceTypes"]))
    return _by_affinity(spec.get("nodeAffinity") or {})


def selected_type(node_selector: Mapping[str, str]) -> str | None:
    """Return the instance type a node selector asks for, or None."""
    return next((node_selector[label] for label in INSTANCE_TYPE_LABELS if label in node_selector), None)


def _by_affinity(affinity: Tree) -> tuple[str, ...]:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    per_term = [_by_term(term) for term in required.get("nodeSelectorTerms") or []]
    if not all(per_term):
        return ()
    return tuple(dict.fromkeys(each for types in per_term for each in types))


def _by_term(term: Tree) -> list[str]:
    for expression in term.get("matchExpressions") or []:
        if expression.get("key") in INSTANCE_TYPE_LABELS and expression.get("operator") == "In":
            return list(expression.get("values") or [])
    return []
