"""The router's own metrics, in a registry of its own."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from dpd_router.page_gauges import PageGauges
from dpd_router.pool import Pool
from dpd_router.stages.observe import Record
from dpd_router.types import Reason, Route

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_ANSWERED = ["path", "streamed"]
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class _PoolGauges(Collector):
    """Reads the pool when it is asked, so that nothing is counted twice."""

    def __init__(self, pool: Pool, background: Callable[[], int]) -> None:
        self._pool = pool
        self._background = background

    def collect(self) -> list[Metric]:
        """Return what is so now, worker by worker."""
        labels = ["role", "worker"]
        up = GaugeMetricFamily("dpd_router_worker_up", "1 when a worker takes requests.", labels=labels)
        flying = GaugeMetricFamily("dpd_router_worker_in_flight", "Requests a worker is busy with.", labels=labels)
        for worker in self._pool.shown():
            key = [worker.address.role.value, worker.name]
            up.add_metric(key, float(worker.up))
            flying.add_metric(key, worker.in_flight)
        work = GaugeMetricFamily("dpd_router_background_tasks", "Late prefills and drains under way.")
        work.add_metric([], self._background())
        return [up, flying, work]


M = TypeVar("M", bound=MetricWrapperBase)


class _Series(dict[tuple[str, ...], M]):
    """A metric's series by their labels. The library looks a series up under a lock and checks every label anew."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> M:
        series = self[labels] = self._metric.labels(*labels)
        return series


class Metrics:
    """Counts requests. `paths` are the served paths: any other is counted as `other`."""

    def __init__(self, paths: frozenset[str], pool: Pool, background: Callable[[], int]) -> None:
        self._paths = paths
        self.registry = registry = CollectorRegistry()
        counter = partial(_counter, registry)
        self._requests = counter("requests", "Requests answered.", "path", "code")
        self._callers = counter("key_requests", "Requests of each API key.", "key", "code")
        self._decisions = counter("decisions", "Paths taken, and why.", "path", "reason")
        self._ends = counter("terminations", "How requests ended.", "end")
        self._transfers = counter("transfers", "Transfers, by whether the prefiller's notice came.", "outcome")
        self._bytes = counter("bytes", "Bytes of bodies.", "direction")
        self._ttft = _Series(_histogram("ttft", "From the request to the first byte of its answer.", registry, _ANSWERED))
        self._duration = _Series(_histogram("request", "From the request to the end of its answer.", registry, ["path"]))
        self._prefill = _histogram("prefill", "The prefill leg.", registry)
        self._transfer = _histogram("transfer", "From the prefiller's reply to its notice.", registry)
        self.in_flight = Gauge("dpd_router_requests_in_flight", "Requests being served.", registry=registry)
        registry.register(_PoolGauges(pool, background))
        registry.register(PageGauges(pool))
        self._begin()

    def _begin(self) -> None:
        """Show from the start what may be counted: a rate does not see a series' first value."""
        for reason in Reason:
            route = Route.DISAGGREGATED if reason is Reason.THRESHOLD else Route.DIRECT
            self._decisions[route, reason].inc(0)
        for route in (Route.DISAGGREGATED, Route.DIRECT):
            self._duration.series(route)
            for streamed in _STREAMED.values():
                self._ttft.series(route, streamed)

    def join(self, *collectors: Collector) -> None:
        """Show what others count, too."""
        for each in collectors:
            self.registry.register(each)

    def count(self, path: str, status: int) -> None:
        """Count a request that is no generation."""
        self._requests.labels(path if path in self._paths else "other", status).inc()

    def count_caller(self, name: str, status: int) -> None:
        """Count a request of the API key of that name."""
        self._callers.labels(name, status).inc()

    def record(self, record: Record) -> None:
        """Count a generation request."""
        self.count(record.path, record.status)
        self._decisions.labels(record.route.value, record.reason.value).inc()
        self._ends.labels(record.end.value).inc()
        self._bytes.labels("in").inc(record.bytes_in)
        self._bytes.labels("out").inc(record.bytes_out)
        self._duration.labels(record.route.value).observe(record.duration)
        if record.ttft is not None:
            self._ttft.labels(record.route.value, str(record.streamed).lower()).observe(record.ttft)
        if record.prefill is not None:
            self._prefill.observe(record.prefill)
        if record.transfer is not None and record.transfer_seconds is not None:
            self._transfers.labels(record.transfer).inc()
            self._transfer.observe(record.transfer_seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _histogram(name: str, text: str, registry: CollectorRegistry, labels: list[str] | None = None) -> Histogram:
    return Histogram(f"dpd_router_{name}_seconds", text, labels or [], buckets=_SECONDS, registry=registry)
