"""Why a pod is not ready yet, in the words of whoever holds it up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dpd_operator.core.objects import COMPONENT, Tree, is_leaving, labels_of

_LONGEST = 300
# A container that waits for these is only on its way.
_ON_THE_WAY = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class PodFacts:
    """The little of a pod that a status needs."""

    namespace: str
    name: str
    app: str
    component: str
    hindrance: str


def facts_of(pod: Tree) -> PodFacts:
    """Return what a status needs of a pod."""
    labels = labels_of(pod)
    metadata = pod["metadata"]
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        app=labels.get("app", ""),
        component=labels.get(COMPONENT, ""),
        hindrance="" if is_leaving(pod) else _hindrance(pod.get("status") or {})[:_LONGEST],
    )


def first_hindrance(pods: Iterable[PodFacts]) -> str:
    """Return what holds up the first pod (by name) that something holds up, or nothing."""
    held = sorted((each.name, each.hindrance) for each in pods if each.hindrance)
    return f"{held[0][0]}: {held[0][1]}" if held else ""


def _hindrance(status: Tree) -> str:
    conditions: dict[str, Any] = {each["type"]: each for each in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason', 'Unschedulable')}, {scheduled.get('message', '')}".rstrip(", ")
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for each in containers:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting and waiting.get("reason") not in _ON_THE_WAY:
            return f"{each['name']} waits: {waiting.get('reason', '')} {waiting.get('message', '')}".rstrip()
    unready = [each["name"] for each in status.get("containerStatuses") or [] if not each.get("ready")]
    return f"not ready: {', '.join(unready)}" if unready else ""
