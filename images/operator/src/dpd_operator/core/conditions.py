"""Conditions in Kubernetes' usual shape; a condition's time moves only when its status does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dpd_operator.core.objects import Tree

_LONGEST_MESSAGE = 32768


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `holds` is None when it is not known."""

    type: str
    holds: bool | None
    reason: str
    message: str


def conditions(wanted: Iterable[Condition], before: Iterable[Tree], generation: int, now: str) -> list[dict[str, Any]]:
    """Return the list for a status, in the order given; times come from `before` where the status has not changed."""
    old = {each["type"]: each for each in before}
    return [_entry(each, old.get(each.type, {}), generation, now) for each in wanted]


def _entry(condition: Condition, before: Tree, generation: int, now: str) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[condition.holds]
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason,
        "message": condition.message[:_LONGEST_MESSAGE],
        "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == status else now,
        "observedGeneration": generation,
    }
