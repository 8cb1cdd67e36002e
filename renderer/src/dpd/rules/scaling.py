"""Autoscaling, wherever it stands: its bounds must leave room."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem

_PLACES: tuple[tuple[str, ...], ...] = (
    ("autoScalingSpec",),
    ("intelligentRoutingSpec", "autoScalingSpec"),
    ("pdSpec", "autoScalingSpec", "prefillAutoScaling"),
    ("pdSpec", "autoScalingSpec", "decodingAutoScaling"),
)
_DEFAULT_MIN, _DEFAULT_MAX = 1, 5


def bounds_leave_room(endpoint: Endpoint) -> Iterator[Problem]:
    """minReplicaCount is at most maxReplicaCount."""
    for place in _PLACES:
        scaling = endpoint.part(*place)
        low = scaling.get("minReplicaCount", _DEFAULT_MIN)
        high = scaling.get("maxReplicaCount", _DEFAULT_MAX)
        if low > high:
            path: FieldPath = ("spec", *place, "minReplicaCount")
            default = "" if "maxReplicaCount" in scaling else ", its default"
            yield Problem(path, f"{low} is more than maxReplicaCount, {high}{default}", "lower it, or raise the other")
