"""Metrics of the router's standing: who takes requests, who was left alone, how old its knowledge is, its fallbacks."""

from collections.abc import Callable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dpd_router.discovery import Discovery
from dpd_router.fallbacks import Fallbacks
from dpd_router.pool import Pool, Role
from dpd_router.wire.held import Held


class Vitals(Collector):
    """Reads what there is when it is asked. `clock` is the loop's."""

    def __init__(
        self, pool: Pool, discovery: Discovery, fallbacks: Fallbacks, held: Held, clock: Callable[[], float]
    ) -> None:
        self._held = held
        self._pool = pool
        self._discovery = discovery
        self._fallbacks = fallbacks
        self._clock = clock

    def collect(self) -> list[Metric]:
        """Return what is so now."""
        return [*self._workers(), *self._source(), *self._computed(), *self._bodies()]

    def _workers(self) -> list[Metric]:
        labels = ["role", "worker"]
        ready = GaugeMetricFamily("dpd_router_worker_ready", "1 when a worker is given requests.", labels=labels)
        ejected = GaugeMetricFamily("dpd_router_worker_ejected", "1 while it is left alone or on trial.", labels=labels)
        resting = GaugeMetricFamily("dpd_router_worker_resting", "1 while it only ends what it has.", labels=labels)
        late = GaugeMetricFamily(
            "dpd_router_prefills_late", "Prefills beyond their time; their worker is given no more.", labels=labels
        )
        for worker in self._pool.shown():
            key = [worker.address.role.value, worker.name]
            ready.add_metric(key, float(self._pool.is_ready(worker)))
            ejected.add_metric(key, float(worker.suspicion.ejected))
            resting.add_metric(key, float(worker.resting))
            if worker.address.role is Role.PREFILL:
                late.add_metric(key, worker.late)
        ejections = CounterMetricFamily("dpd_router_ejections", "Workers left alone for failing.", labels=["role"])
        for role, count in self._pool.ejections.items():
            ejections.add_metric([role.value], count)
        return [ready, ejected, resting, late, ejections]

    def _source(self) -> list[Metric]:
        age = GaugeMetricFamily("dpd_router_discovery_age_seconds", "Since discovery was last heard of; -1 for never.")
        heard = self._discovery.heard()
        age.add_metric([], -1.0 if heard is None else max(0.0, self._clock() - heard))
        return [age]

    def _computed(self) -> list[Metric]:
        active = GaugeMetricFamily("dpd_router_fallbacks", "Prompts that decoders compute in a prefiller's stead.")
        active.add_metric([], self._fallbacks.active)
        refused = CounterMetricFamily("dpd_router_fallbacks_refused", "Prompts refused because there were too many.")
        refused.add_metric([], self._fallbacks.refused)
        waiting = GaugeMetricFamily("dpd_router_fallbacks_waiting", "Prompts that wait for a decoder to compute them.")
        waiting.add_metric([], self._fallbacks.waiting)
        return [active, waiting, refused]

    def _bodies(self) -> list[Metric]:
        held = GaugeMetricFamily("dpd_router_held_bytes", "Bytes of requests' bodies in memory.")
        held.add_metric([], self._held.now)
        refused = CounterMetricFamily("dpd_router_held_bytes_refused", "Requests refused for want of room for a body.")
        refused.add_metric([], self._held.refused)
        return [held, refused]
