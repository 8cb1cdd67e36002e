"""The sections of the configuration that are about clients: who may call, and how."""

from dataclasses import dataclass

from dpd_router.config.auth import Auth, read_auth
from dpd_router.config.logs import Logs, read_logs
from dpd_router.config.section import Section
from dpd_router.config.tls import Tls, read_tls
from dpd_router.config.tracing import Traced, read_tracing


@dataclass(frozen=True, slots=True)
class MetricsPort:
    """Where metrics have a port of their own."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Surface:
    """What the router shows the world. `metrics` is None when they are told on the port of everything else.

    `tracing` is None when there are no traces.
    """

    auth: Auth
    tls: Tls
    logs: Logs
    metrics: MetricsPort | None
    tracing: Traced | None


def read_surface(root: Section) -> Surface:
    """Read the sections."""
    return Surface(read_auth(root), read_tls(root), read_logs(root), _metrics(root), read_tracing(root))


def _metrics(root: Section) -> MetricsPort | None:
    if not root.has("metrics"):
        return None
    with root.section("metrics") as metrics:
        host = metrics.text("host", "0.0.0.0")  # noqa: S104 - the kubelet asks from outside the pod
        return MetricsPort(host, metrics.integer("port", 9090, 0, 65535))
