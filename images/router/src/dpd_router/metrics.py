"""The router's own metrics, in a registry of its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
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


class Metrics:
    """Counts requests. `paths` are the served paths: any other is counted as `other`."""

    def __init__(self, paths: frozenset[str], pool: Pool, background: Callable[[], int]) -> None:
        self._paths = paths
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("dpd_router_requests", "Requests answered.", ["path", "code"], registry=registry)
        self._callers = Counter(
            "dpd_router_key_requests", "Requests of each API key.", ["key", "code"], registry=registry
        )
        self._decisions = Counter(
            "dpd_router_decisions", "Paths taken, and why.", ["path", "reason"], registry=registry
        )
        self._ends = Counter("dpd_router_terminations", "How requests ended.", ["end"], registry=registry)
        self._transfers = Counter(
            "dpd_router_transfers", "Transfers, by whether the prefiller's notice came.", ["outcome"], registry=registry
        )
        self._bytes = Counter("dpd_router_bytes", "Bytes of bodies.", ["direction"], registry=registry)
        self._ttft = _histogram("ttft", "From the request to the first byte of its answer.", registry, _ANSWERED)
        self._duration = _histogram("request", "From the request to the end of its answer.", registry, ["path"])
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
            self._decisions.labels(route.value, reason.value)
        for route in (Route.DISAGGREGATED, Route.DIRECT):
            self._duration.labels(route.value)
            for streamed in ("true", "false"):
                self._ttft.labels(route.value, streamed)

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
