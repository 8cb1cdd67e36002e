"""Tracing put together from the configuration: all of it, or nothing."""

import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dpd_router.config.tracing import Traced
from dpd_router.tracing.tracer import Off, Tracer, Traces

FLUSH_SECONDS = 2.0  # of a pod's last seconds, after its requests


class Sender(Protocol):
    """What becomes of requests that have ended, by `outcomes`."""

    outcomes: dict[str, int]

    async def run(self) -> None:
        """Send them, for good."""

    async def close(self, seconds: float) -> None:
        """Send what is left."""


@dataclass(frozen=True, slots=True)
class Tracing(Collector):
    """What the router runs. Without a sender there are no traces."""

    tracer: Tracer
    sender: Sender | None = None

    def chores(self) -> "list[Coroutine[Any, Any, None]]":
        """Return what goes on as long as the router does."""
        return [] if self.sender is None else [self.sender.run()]

    async def close(self) -> None:
        """Send what is left, within FLUSH_SECONDS."""
        if self.sender is not None:
            await self.sender.close(FLUSH_SECONDS)

    def collect(self) -> list[Metric]:
        """Return what became of traces, if there are any."""
        if self.sender is None:
            return []
        counts = CounterMetricFamily("dpd_router_traces", "Traces, by what became of them.", labels=["outcome"])
        for outcome, count in self.sender.outcomes.items():
            counts.add_metric([outcome], count)
        return [counts]


def tracing_of(
    settings: Traced | None, endpoint: str, namespace: str, clock: Callable[[], float], tell: Callable[[str], None]
) -> Tracing:
    """Return the tracing of an endpoint's router; `clock` is that of events, `tell` writes a line to the log."""
    if settings is None:
        return Tracing(Off())
    # Here, because no other router shall load what these need.
    from dpd_router.tracing.exporter import Clocks, Exporter

    resource = {
        "service.name": "dpd-router",
        "service.version": version("dpd-router"),
        "service.instance.id": socket.gethostname(),
        "dpd.endpoint": endpoint,
        "dpd.namespace": namespace,
    }
    exporter = Exporter(settings.url, settings.room, resource, Clocks(clock, time.time), tell)
    return Tracing(Traces(settings.ratio, exporter.keep), exporter)
