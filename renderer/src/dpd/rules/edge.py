"""The edge: DNS needs a certificate of one's own, request limits need metrics."""

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
