"""What the controller counts, for Prometheus."""

import threading
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Gauge, Histogram

from dpd_operator.core.objects import Key

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The controller's counters, in a registry of their own."""

    def __init__(self) -> None:
        """Begin with everything at zero."""
        self.registry = CollectorRegistry()
        self.leads = Gauge(
            "dpd_operator_leader", "Whether this replica leads (1) or waits (0).", registry=self.registry
        )
        self.queued = Gauge(
            "dpd_operator_queue_length", "Endpoints that wait or are worked on.", registry=self.registry
        )
        self.reconciles = Histogram(
            "dpd_operator_reconcile_seconds",
            "Duration of one look at an endpoint.",
            ["result"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._endpoints = Gauge("dpd_operator_endpoints", "Endpoints by state.", ["state"], registry=self.registry)
        self._states: dict[Key, str] = {}
        self._lock = threading.Lock()

    def saw(self, key: Key, state: str) -> None:
        """Note the state an endpoint has."""
        with self._lock:
            self._states[key] = state
            self._count()

    def forget(self, key: Key) -> None:
        """Note that an endpoint is gone."""
        with self._lock:
            self._states.pop(key, None)
            self._count()

    def _count(self) -> None:
        self._endpoints.clear()
        for state, count in Tally(self._states.values()).items():
            self._endpoints.labels(state).set(count)
