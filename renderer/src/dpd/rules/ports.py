"""Ports of the worker pod: the one the engine listens on, beside those of its sidecars."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.flags import whole_number
from dpd.problems import FieldPath, Problem, warning

_PORT: FieldPath = ("spec", "worker", "modelInvocationPort", "containerPort")
_TAKEN = {
    8081: "the reverse proxy",
    9113: "the reverse proxy's metrics",
    9464: "the metrics collector",
    13133: "the metrics collector's health check",
}


def engine_port_is_free(endpoint: Endpoint) -> Iterator[Problem]:
    """The sidecars of the pod keep their ports."""
    port = endpoint.part("worker", "modelInvocationPort").get("containerPort")
    if port in _TAKEN:
        yield Problem(_PORT, f"{port} is taken in the pod by {_TAKEN[port]}", "use another, and --port with it")


def flag_agrees(endpoint: Endpoint) -> Iterator[Problem]:
    """--port says what containerPort says."""
    port = endpoint.part("worker", "modelInvocationPort").get("containerPort")
    if port is None:
        return
    for role in endpoint.roles:
        flag = role.flag("--port")
        if flag and whole_number(flag.value) not in (None, port):
            fact = f"--port is {flag.value} and worker.modelInvocationPort.containerPort is {port}"
            yield Problem(flag.path, fact, "make them the same")


def metrics_port_agrees(endpoint: Endpoint) -> Iterator[Problem]:
    """The engine serves its metrics where it serves its requests."""
    port = endpoint.part("worker", "modelInvocationPort").get("containerPort")
    metrics = endpoint.part("metrics", "modelMetrics").get("port")
    if port is not None and metrics is not None and metrics != port:
        fact = f"{metrics} is not where the engine listens, which is worker.modelInvocationPort.containerPort {port}"
        yield warning(("spec", "metrics", "modelMetrics", "port"), fact, f"write {port}")
