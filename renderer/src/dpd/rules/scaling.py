"""Autoscaling, wherever it stands: somebody must hear it, its bounds must leave room, and something must trigger it."""

from collections.abc import Iterator
from dataclasses import dataclass

from dpd.endpoint import Endpoint, Tree
from dpd.problems import FieldPath, Problem, warning

_SPEC: FieldPath = ("spec",)
_WORKERS = ("autoScalingSpec",)
_ROUTER = ("intelligentRoutingSpec", "autoScalingSpec")
_ROLES = (
    ("pdSpec", "autoScalingSpec", "prefillAutoScaling"),
    ("pdSpec", "autoScalingSpec", "decodingAutoScaling"),
)
_DEFAULT_MIN, _DEFAULT_MAX = 1, 5
_LONGEST_WINDOW = 3600
_WINDOWS = ("scaleDownStabilizationTime", "scaleUpStabilizationTime")
# The single trigger, the list that wins over it, and what a trigger measures.
_TRIGGERS = (
    ("cloudWatchTrigger", "cloudWatchTriggerList", "metricName"),
    ("prometheusTrigger", "prometheusTriggerList", "query"),
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger in force: where it is written, `kind` as the key of a single one, and what is missing of it."""

    path: FieldPath
    kind: str
    held: Tree
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scaling:
    """One autoScalingSpec that somebody acts on."""

    path: FieldPath
    held: Tree
    triggers: tuple[Trigger, ...]

    @property
    def of_router(self) -> bool:
        """Whether it is the router that scales."""
        return self.path[1:] == _ROUTER

    @property
    def complete(self) -> tuple[Trigger, ...]:
        """The triggers that say what they measure and what they hold."""
        return tuple(each for each in self.triggers if not each.missing)


def scalings(endpoint: Endpoint) -> Iterator[Scaling]:
    """Yield every autoScalingSpec in force: the roles' under pdSpec, else the workers', and the router's."""
    places = _ROLES if endpoint.is_disaggregated else (_WORKERS,)
    for place in (*places, _ROUTER):
        held = _held(endpoint, place)
        if held is not None and (place != _ROUTER or endpoint.has_router):
            path = (*_SPEC, *place)
            yield Scaling(path, held, tuple(_triggers(path, held)))


def bounds_leave_room(endpoint: Endpoint) -> Iterator[Problem]:
    """minReplicaCount is at most maxReplicaCount, and something may run."""
    for place in (_WORKERS, _ROUTER, *_ROLES):
        scaling = _held(endpoint, place) or {}
        low = scaling.get("minReplicaCount", _DEFAULT_MIN)
        high = scaling.get("maxReplicaCount", _DEFAULT_MAX)
        if high < 1:
            yield Problem((*_SPEC, *place, "maxReplicaCount"), "0, so that nothing would ever run", "write 1 or more")
        elif low > high:
            path: FieldPath = (*_SPEC, *place, "minReplicaCount")
            default = "" if "maxReplicaCount" in scaling else ", its default"
            yield Problem(path, f"{low} is more than maxReplicaCount, {high}{default}", "lower it, or raise the other")


def windows_fit(endpoint: Endpoint) -> Iterator[Problem]:
    """Kubernetes looks back an hour at most."""
    for scaling in scalings(endpoint):
        for key in _WINDOWS:
            if scaling.held.get(key, 0) > _LONGEST_WINDOW:
                fact = f"{scaling.held[key]}, and Kubernetes takes at most {_LONGEST_WINDOW} seconds"
                yield Problem((*scaling.path, key), fact, "lower it")


def somebody_scales(endpoint: Endpoint) -> Iterator[Problem]:
    """Under pdSpec the roles scale; a router scales where there is one."""
    if endpoint.is_disaggregated and _held(endpoint, _WORKERS) is not None:
        remedy = "set pdSpec.autoScalingSpec.prefillAutoScaling and decodingAutoScaling, and remove it"
        yield warning((*_SPEC, *_WORKERS), "not used under pdSpec", remedy)
    if _held(endpoint, _ROUTER) is not None and not endpoint.has_router:
        fact = "not used: without intelligent routing there is no router"
        yield warning((*_SPEC, *_ROUTER), fact, "set intelligentRoutingSpec.enabled to true, or remove it")


def something_triggers(endpoint: Endpoint) -> Iterator[Problem]:
    """A trigger without a metric or a target is left out; without any trigger the engines' own metrics decide."""
    for scaling in scalings(endpoint):
        for trigger in scaling.triggers:
            if trigger.missing and endpoint.is_sound(trigger.path):
                words = " and ".join(trigger.missing)
                rest = "" if scaling.complete else ", and replicas stay as written"
                yield warning(trigger.path, f"has no {words}, so it triggers nothing{rest}", f"add {words}")
        if not scaling.triggers and not scaling.of_router and endpoint.is_sound(scaling.path):
            fact = "has no trigger, so what waits, runs and is buffered in the engines decides, as Prometheus tells it"
            remedy = "set autoscaling.prometheus.serverAddress in the values, or add a trigger"
            yield warning(scaling.path, fact, remedy)


def _held(endpoint: Endpoint, place: tuple[str, ...]) -> Tree | None:
    found: Tree | None = endpoint.part(*place[:-1]).get(place[-1])
    return found


def _triggers(path: FieldPath, held: Tree) -> Iterator[Trigger]:
    for single, several, measured in _TRIGGERS:
        if held.get(several):
            for index, each in enumerate(held[several]):
                yield _trigger((*path, several, index), single, each, measured)
        elif single in held:
            yield _trigger((*path, single), single, held[single], measured)


def _trigger(path: FieldPath, kind: str, held: Tree, measured: str) -> Trigger:
    missing = () if held.get(measured) else (measured,)
    return Trigger(path, kind, held, missing if "targetValue" in held else (*missing, "targetValue"))
