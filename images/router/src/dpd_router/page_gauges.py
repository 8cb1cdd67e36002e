"""Gauges of the decoders' buffers: what is spoken for, what there is, what the decoders themselves say."""

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dpd_router.pool import Pool, Role, Worker

_FAMILIES = {
    "reserved": "Pages of a decoder's buffer that this router's transfers have reserved.",
    "capacity": "Pages of a decoder's buffer that this router may reserve; absent while that is unknown.",
    "waiting": "Requests that wait for room in a decoder's buffer.",
    "observed": "Pages of a decoder's buffer that the decoder says are taken, by whomever.",
    "drift": "Pages of a decoder's buffer that are taken and that no transfer of this router accounts for.",
}


class PageGauges(Collector):
    """Reads the ledgers when it is asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> list[Metric]:
        """Return what is so now, decoder by decoder."""
        families = {
            name: GaugeMetricFamily(f"dpd_router_pages_{name}", text, labels=["role", "worker"])
            for name, text in _FAMILIES.items()
        }
        weight = GaugeMetricFamily("dpd_router_page_bytes", "Bytes of a page on one rank; absent while unknown.")
        if self._pool.buffers.page_bytes is not None:
            weight.add_metric([], self._pool.buffers.page_bytes)
        for worker in self._pool.shown():
            if worker.address.role is Role.DECODE:
                for name, value in _figures(worker).items():
                    if value is not None:
                        families[name].add_metric([worker.address.role.value, worker.name], value)
        return [*families.values(), weight]


def _figures(worker: Worker) -> dict[str, int | None]:
    ledger, drift = worker.ledger, worker.drift
    return {
        "reserved": ledger.used,
        "capacity": ledger.capacity,
        "waiting": ledger.waiting,
        "observed": drift.observed,
        "drift": None if drift.observed is None else ledger.lost,
    }
