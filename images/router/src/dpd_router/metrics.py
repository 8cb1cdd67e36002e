"""The router's own metrics, in a registry of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dpd_router.page_gauges import PageGauges
from dpd_router.pool import Pool
from dpd_router.record import Record
from dpd_router.tallies import Labels, Series, Tally, Times
from dpd_router.types import Reason, Route

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_ANSWERED = ("path", "streamed")
_ROUTES: Sequence[Labels] = [(Route.DISAGGREGATED,), (Route.DIRECT,)]
_STREAMS: Sequence[Labels] = [(*route, streamed) for route in _ROUTES for streamed in ("true", "false")]
_DECISIONS: Sequence[Labels] = [
    (Route.DISAGGREGATED if reason is Reason.THRESHOLD else Route.DIRECT, reason) for reason in Reason
]
_IN, _OUT = ("in",), ("out",)
# What ended is counted so many at a time: the tables are then in the processor's caches, and one costs a third.
_TOGETHER: Final = 64
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


class _Waiting(Collector):
    """Has what waits counted before anything is shown: a registry asks it first."""

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def collect(self) -> list[Metric]:
        """Return nothing of its own."""
        self._count()
        return []


@dataclass(frozen=True, slots=True)
class _Where:
    """Where requests of one kind are counted: what each raises by one, and how long it took."""

    once: Sequence[list[float]]
    duration: Series


class Metrics:
    """Counts requests. `paths` are the served paths: any other is counted as `other`; `serving` are under way."""

    def __init__(
        self, paths: frozenset[str], pool: Pool, background: Callable[[], int], serving: Callable[[], int]
    ) -> None:
        self._paths = paths
        self._requests = _tally("requests", "Requests answered.", "path", "code")
        self._callers = _tally("key_requests", "Requests of each API key.", "key", "code")
        # Shown from the start: a rate does not see a series' first value.
        self._decisions = _tally("decisions", "Paths taken, and why.", "path", "reason", seen=_DECISIONS)
        self._ends = _tally("terminations", "How requests ended.", "end")
        self._transfers = _tally("transfers", "Transfers, by whether the prefiller's notice came.", "outcome")
        self._bytes = _tally("bytes", "Bytes of bodies.", "direction")
        self._ttft = _times("ttft", "From the request to the first byte of its answer.", *_ANSWERED, seen=_STREAMS)
        self._duration = _times("request", "From the request to the end of its answer.", "path", seen=_ROUTES)
        self._prefill = _times("prefill", "The prefill leg.", seen=[()])
        self._transfer = _times("transfer", "From the prefiller's reply to its notice.", seen=[()])
        self._in, self._out = self._bytes.cell(_IN), self._bytes.cell(_OUT)
        self._where: dict[tuple[Any, ...], _Where] = {}
        self._waiting: list[Record] = []
        self.registry = CollectorRegistry()
        self.join(_Waiting(self._count_waiting))
        in_flight = Gauge("dpd_router_requests_in_flight", "Requests being served.", registry=self.registry)
        in_flight.set_function(serving)
        counted = (self._requests, self._callers, self._decisions, self._ends, self._transfers, self._bytes)
        self.join(*counted, self._ttft, self._duration, self._prefill, self._transfer)
        self.join(_PoolGauges(pool, background), PageGauges(pool))

    def join(self, *collectors: Collector) -> None:
        """Show what others count, too."""
        for each in collectors:
            self.registry.register(each)

    def count(self, path: str, status: int) -> None:
        """Count a request that is no generation."""
        self._requests.add((path if path in self._paths else "other", str(status)))

    def count_caller(self, name: str, status: int) -> None:
        """Count a request of the API key of that name."""
        self._callers.add((name, str(status)))

    def record(self, record: Record) -> None:
        """Have a generation request counted, before anybody looks."""
        self._waiting.append(record)
        if len(self._waiting) >= _TOGETHER:
            self._count_waiting()

    def _count_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            self._count(record)

    def _count(self, record: Record) -> None:
        path = record.path if record.path in self._paths else "other"
        kind = (path, record.status, record.route, record.reason, record.end, record.streamed)
        where = self._where.get(kind)
        if where is None:
            where = self._where[kind] = self._of(path, record)
        for cell in where.once:
            cell[0] += 1
        self._in[0] += record.bytes_in
        self._out[0] += record.bytes_out
        where.duration.observe(record.duration)
        if record.ttft is not None:
            self._ttft.observe((record.route, "true" if record.streamed else "false"), record.ttft)
        if record.prefill is not None:
            self._prefill.observe((), record.prefill)
        if record.transfer is not None and record.transfer_seconds is not None:
            self._transfers.add((record.transfer,))
            self._transfer.observe((), record.transfer_seconds)

    def _of(self, path: str, record: Record) -> "_Where":
        """Return where requests like this one are counted; there are as many as paths, statuses and reasons."""
        decision, end = (record.route, record.reason), (record.end,)
        requests = self._requests.cell((path, str(record.status)))
        once = (requests, self._decisions.cell(decision), self._ends.cell(end))
        return _Where(once, self._duration.series((record.route,)))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _tally(name: str, text: str, *labels: str, seen: Sequence[Labels] = ()) -> Tally:
    return Tally(f"dpd_router_{name}", text, labels, seen)


def _times(name: str, text: str, *labels: str, seen: Sequence[Labels] = ()) -> Times:
    return Times(f"dpd_router_{name}_seconds", text, _SECONDS, labels, seen)
