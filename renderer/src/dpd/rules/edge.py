"""The edge: DNS needs a certificate of one's own, SageMaker's API a router, request limits metrics."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import Problem, warning


def dns_has_a_certificate(endpoint: Endpoint) -> Iterator[Problem]:
    """dnsConfig goes with tlsConfig.customCertificateConfig."""
    has_certificate = bool(endpoint.part("tlsConfig", "customCertificateConfig"))
    if endpoint.part("dnsConfig") and not has_certificate and endpoint.is_sound(("spec", "tlsConfig")):
        fact = "needs tlsConfig.customCertificateConfig, which names the domain"
        yield Problem(("spec", "dnsConfig"), fact, "add that, or remove dnsConfig")


def limits_have_metrics(endpoint: Endpoint) -> Iterator[Problem]:
    """Request limits count with the metrics of the proxy."""
    if endpoint.part("worker", "requestLimits") and endpoint.part("metrics").get("enabled") is False:
        fact = "works with metrics only, and metrics.enabled is false"
        yield Problem(("spec", "worker", "requestLimits"), fact, "turn metrics on, or remove requestLimits")


def limits_limit_something(endpoint: Endpoint) -> Iterator[Problem]:
    """A queue is for what exceeds a limit."""
    limits = endpoint.part("worker", "requestLimits")
    path = ("spec", "worker", "requestLimits")
    if limits and not limits.get("maxConcurrentRequests") and endpoint.is_sound(path):
        yield warning(path, "limits nothing without maxConcurrentRequests", "add it, or remove requestLimits")


def load_balancers_have_a_certificate(endpoint: Endpoint) -> Iterator[Problem]:
    """A load balancer of AWS takes certificates of ACM, and cert-manager's are none."""
    asked, given = endpoint.spec.get("tlsConfig") is not None, endpoint.part("tlsConfig", "customCertificateConfig")
    if asked and not given and endpoint.is_sound(("spec", "tlsConfig")):
        fact = "holds no customCertificateConfig, so the load balancer listens on HTTP alone"
        yield warning(("spec", "tlsConfig"), fact, "add one, or set edge.kind in the values to ingress or gateway")


def endpoint_name_has_a_router(endpoint: Endpoint) -> Iterator[Problem]:
    """SageMaker's API is served by the router."""
    routed = endpoint.is_disaggregated or endpoint.part("intelligentRoutingSpec").get("enabled")
    if endpoint.spec.get("endpointName") and not routed:
        fact = "nobody serves SageMaker's API for it: this endpoint has no router"
        yield warning(("spec", "endpointName"), fact, "set intelligentRoutingSpec.enabled, or call its Service")
