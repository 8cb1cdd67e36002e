"""What the contract accepts and the chart does not draw yet: one row per field, so that nothing is silently ignored.

A row goes when the chart learns its field. Fields without a row are drawn, or need no drawing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Note = tuple[str, str]
_HARMLESS = "remove it, or leave it: it changes nothing here"


@dataclass(frozen=True, slots=True)
class Row:
    """A field under spec, what does not happen because of it, what to do; values in `unless` need no drawing."""

    path: tuple[str, ...]
    missing: str
    remedy: str = _HARMLESS
    unless: tuple[Any, ...] = ()


def _scaling(*path: str) -> Row:
    return Row(
        path, "no autoscaler is made, replicas stay as written", "scale by hand, or with a ScaledObject of yours"
    )


ROWS: tuple[Row, ...] = (
    Row(
        ("endpointName",),
        "no SageMaker endpoint is registered",
        "call the endpoint's own Service, or leave it for HyperPod",
        unless=("",),
    ),
    Row(("InitialReplicaCount",), "it is deprecated and never read", "use replicas"),
    _scaling("autoScalingSpec"),
    _scaling("intelligentRoutingSpec", "autoScalingSpec"),
    _scaling("pdSpec", "autoScalingSpec"),
    Row(
        ("intelligentRoutingSpec", "routingStrategy"),
        "the router knows prefixaware and roundrobin, and helm will refuse other strategies",
        "use one of these two",
        unless=("prefixaware", "roundrobin"),
    ),
    Row(
        ("pdSpec", "topologySpec", "placementGroup"),
        "pods are not bound to a placement group",
        "choose nodes of that group with nodeAffinity",
        unless=("",),
    ),
    Row(("modelSourceConfig", "prefetchEnabled"), "weights are read where they lie, not copied first", unless=(False,)),
    Row(("kvCacheSpec", "enableL2Cache"), "only the first cache level is set up", unless=(False,)),
    Row(("kvCacheSpec", "cacheConfigFile"), "the LMCache file is the chart's own", unless=("",)),
    Row(("lmcache", "mode"), "LMCache runs inside the engine", unless=("InProcess",)),
    Row(("modelCacheConfig",), "weights are not cached between nodes"),
    Row(
        ("loadBalancer", "routingAlgorithm"),
        "no load balancer is made",
        "put an Ingress of yours before the routing Service",
        unless=("least_outstanding_requests",),
    ),
    Row(("loadBalancer", "idleTimeoutSeconds"), "no load balancer is made", unless=(60,)),
    Row(("tlsConfig",), "no certificate is made or used", "end TLS at an Ingress of yours"),
    Row(("dnsConfig",), "no DNS record is made", "make one for an Ingress of yours"),
    Row(("dataCapture",), "no request or answer is recorded"),
    Row(
        ("worker", "modelInvocationPort", "name"),
        "the proxy and the router speak HTTP, and helm will refuse grpc",
        "write http, or remove it",
        unless=("http",),
    ),
    Row(("worker", "requestLimits"), "requests are not limited", "limit with the engine's --max-num-seqs"),
    Row(("metricsSidecarResources",), "the proxy has the chart's resources", "set proxy.resources in the values"),
    Row(("metricsCollectorResources",), "the collector has the chart's resources", "set collector.resources there"),
    Row(("s3UploaderResources",), "there is no uploader"),
)


def undrawn(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Note]]:
    """Yield path, fact and remedy of every field in `spec` that is accepted and not drawn yet."""
    for row in ROWS:
        found = _value_at(spec, row.path)
        if found is not None and not any(found == each and type(found) is type(each) for each in row.unless):
            yield row.path, (f"accepted, not drawn yet: {row.missing}", row.remedy)


def _value_at(spec: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    *outer, last = path
    held: Any = spec
    for key in outer:
        held = held.get(key) or {}
    return held.get(last)
