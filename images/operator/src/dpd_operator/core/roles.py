"""What became of each Deployment of a release: how many pods are wanted, how many are ready, what holds them up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dpd_operator.core.objects import COMPONENT, Ref, Tree, labels_of, ref_of
from dpd_operator.core.pods import PodFacts, first_hindrance

ROUTER = "router"
_ORDER = ("prefill", "decode", "worker", ROUTER)


@dataclass(frozen=True, slots=True)
class Role:
    """One Deployment as it is; `status` is its own, empty while it does not exist."""

    component: str
    name: str
    wanted: int
    exist: int
    ready: int
    is_ready: bool
    hindrance: str
    status: Tree

    @property
    def words(self) -> str:
        """Its state for people."""
        counted = f"{self.ready} of {self.wanted} pod{'' if self.wanted == 1 else 's'} ready"
        return f"{counted} ({self.hindrance})" if self.hindrance and not self.is_ready else counted


def roles(objects: Iterable[Tree], live: Mapping[Ref, Tree], pods: Iterable[PodFacts]) -> tuple[Role, ...]:
    """Return the roles of a release in the order of a request's way, the router last."""
    seen = tuple(pods)
    deployments = [each for each in objects if each["kind"] == "Deployment"]
    found = [_role(each, live.get(ref_of(each)), seen) for each in deployments]
    return tuple(sorted(found, key=lambda each: (_rank(each.component), each.name)))


def not_made(components: Iterable[str]) -> tuple[Role, ...]:
    """Return roles of which nothing exists yet."""
    return tuple(Role(each, "", 0, 0, 0, is_ready=False, hindrance="", status={}) for each in components)


def given_up(before: Iterable[Tree], after: Iterable[Tree]) -> list[Ref]:
    """Return the Deployments whose size `before` says and `after` leaves to an autoscaler."""
    sized = {ref_of(each) for each in before if each["kind"] == "Deployment" and "replicas" in each["spec"]}
    left = {ref_of(each) for each in after if each["kind"] == "Deployment" and "replicas" not in each["spec"]}
    return sorted(sized & left)


def _rank(component: str) -> int:
    return _ORDER.index(component) if component in _ORDER else len(_ORDER)


def _role(drawn: Tree, found: Tree | None, pods: tuple[PodFacts, ...]) -> Role:
    component = labels_of(drawn).get(COMPONENT, "")
    name, namespace = drawn["metadata"]["name"], drawn["metadata"]["namespace"]
    body: Tree = found or {"metadata": {}, "spec": {}}
    status: dict[str, Any] = body.get("status") or {}
    # An autoscaler's number stands only in the live object.
    wanted = int(body["spec"].get("replicas", drawn["spec"].get("replicas", 1)))
    counts = {key: int(status.get(key, 0)) for key in ("replicas", "readyReplicas", "updatedReplicas")}
    is_current = int(status.get("observedGeneration", 0)) >= int(body["metadata"].get("generation", 1))
    is_whole = min(counts["readyReplicas"], counts["updatedReplicas"]) >= wanted
    app = (drawn["spec"]["selector"].get("matchLabels") or {}).get("app", "")
    own = [each for each in pods if (each.namespace, each.app, each.component) == (namespace, app, component)]
    return Role(
        component=component,
        name=name,
        wanted=wanted,
        exist=counts["replicas"],
        ready=counts["readyReplicas"],
        is_ready=found is not None and is_current and is_whole,
        hindrance="does not exist" if found is None else first_hindrance(own),
        status=status,
    )
