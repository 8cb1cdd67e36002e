"""Everything put together, and in which order it starts and ends."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import kopf
from prometheus_client import start_http_server

from dpd.contract import Contract
from dpd.package import contract_schema
from dpd_operator.cluster import KubeCluster
from dpd_operator.core.objects import Key
from dpd_operator.core.planning import Planner
from dpd_operator.election import Election
from dpd_operator.helm import Helm
from dpd_operator.intake import registry
from dpd_operator.kube import ApiServer, connect
from dpd_operator.metrics import Metrics
from dpd_operator.reconcile import Reconciler
from dpd_operator.reporter import Reporter
from dpd_operator.seams import ApiError, HelmError
from dpd_operator.settings import Settings
from dpd_operator.store import Store
from dpd_operator.watching import Watches
from dpd_operator.workqueue import WorkQueue

_LOG = logging.getLogger(__name__)
LOST = 3
# Events come in bursts; one look shortly after the first serves them all.
_SETTLE_SECONDS = 0.1


def run(settings: Settings) -> int:
    """Wait for the Lease, act until told to stop, give the Lease back. Returns the exit status."""
    kube, metrics = connect(), Metrics()
    server, thread = start_http_server(settings.metrics_port, settings.metrics_host, metrics.registry)
    _LOG.info("metrics on port %d", server.server_port)
    election = Election(kube, settings.namespace, settings.lease, settings.identity)
    previous = signal.signal(signal.SIGTERM, lambda *_: election.stop())
    try:
        if not election.wait():
            return 0
        signal.signal(signal.SIGTERM, previous)
        election.keep(lost=_end_now)
        metrics.leads.set(1)
        _lead(settings, kube, metrics, election)
        election.release()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    return 0


def _end_now() -> None:
    """Another replica may act from now on: end this process, and Helm with it, without another step."""
    logging.shutdown()
    # In a pod this is process 1, and nothing outlives it; elsewhere it may lead a group.
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(LOST)


def _lead(settings: Settings, kube: ApiServer, metrics: Metrics, election: Election) -> None:
    store, queue = Store(settings.namespace), WorkQueue()
    cluster = KubeCluster(kube, settings.namespace, settings.identity)
    helm = Helm(settings.helm, settings.chart, settings.shared, settings.namespace, election.leads)
    planner = Planner(Contract(contract_schema()), helm.made_from)
    reconciler = Reconciler(store, cluster, helm, planner, Reporter(cluster, metrics, store.objects))
    places = {*settings.namespaces, *settings.router_namespaces} if settings.namespaces else set()
    watches = Watches(kube, store, lambda key: queue.add(key, _SETTLE_SECONDS), sorted(places))
    watches.start()
    watches.wait_until_listed()
    metrics.queued.set_function(lambda: len(queue))
    workers = [
        threading.Thread(
            target=_work, args=(queue, reconciler.reconcile, metrics, election.leads), name=f"worker-{index}"
        )
        for index in range(settings.workers)
    ]
    for each in workers:
        each.start()
    try:
        asyncio.run(_watch_endpoints(settings, store, queue))
    finally:
        # What has begun is finished, so that the next leader finds no half-written release.
        queue.close()
        watches.stop()
        for each in workers:
            each.join()


async def _watch_endpoints(settings: Settings, store: Store, queue: WorkQueue) -> None:
    await kopf.operator(
        registry=registry(store, queue),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )


def _work(
    queue: WorkQueue, reconcile: Callable[[Key], float | None], metrics: Metrics, leads: Callable[[], bool]
) -> None:
    while (key := queue.take()) is not None and leads():
        began, again, result = time.monotonic(), None, "ok"
        try:
            again = reconcile(key)
        except (HelmError, ApiError) as error:
            _LOG.warning("%s: %s; trying again", key, error)
            result = "error"
        # The thread must live on: other endpoints need it.
        except Exception:  # noqa: BLE001
            _LOG.exception("%s: a fault of ours; trying again", key)
            result = "fault"
        metrics.reconciles.labels(result).observe(time.monotonic() - began)
        queue.done(key, is_good=result == "ok")
        if again is not None:
            queue.add(key, again)
