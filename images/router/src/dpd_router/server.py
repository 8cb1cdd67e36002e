"""The router, put together and run until it is told to stop."""

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dpd_router.access import AccessLog
from dpd_router.api import Routes
from dpd_router.api.openapi import document
from dpd_router.app import App
from dpd_router.background import Background
from dpd_router.choosing import Choosing, choosing, prepared
from dpd_router.config import Config
from dpd_router.config.transfer import Transfer
from dpd_router.connectors import connector_named
from dpd_router.delivery import Delivery
from dpd_router.discovery import Discovery, discovery_of
from dpd_router.drains import Drains
from dpd_router.front import Front, front
from dpd_router.handover import Handover
from dpd_router.health import Health
from dpd_router.logs import Log
from dpd_router.metrics import Metrics
from dpd_router.notify import NoticeBoard
from dpd_router.path import Path
from dpd_router.pool import Pool
from dpd_router.sagemaker.api import Runtime
from dpd_router.stages.observe import Record
from dpd_router.usage import Usage
from dpd_router.wire.connections import Connections
from dpd_router.wire.downstream import Doors
from dpd_router.wire.exchange import Answering
from dpd_router.wire.legs import WireLegs

_SWEEP_SECONDS = 1.0
_KNOWN_SECONDS = 5.0  # how long the router waits to know its workers before it calls itself started


def new_id() -> str:
    """Return an id that no router ever gave before."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that lives as long as the process, made from a configuration by `assemble`."""

    config: Config
    pool: Pool
    background: Background
    connections: Connections
    notices: NoticeBoard
    doors: Doors
    discovery: Discovery
    health: Health
    usage: Usage
    choosing: Choosing
    app: App
    front: Front
    log: Log

    async def run(self, stop: asyncio.Event, started: Callable[[int], None] = lambda _: None) -> None:
        """Serve until `stop` is set, then end what is under way; `started` is told the port.

        Raises OSError when a port cannot be had.
        """
        chores: list[asyncio.Task[None]] = []
        try:
            if self.config.transfer is not None and self.config.transfer.port is not None:
                self.notices.open(self.config.transfer.host, self.config.transfer.port)
            port = await self.front.open(self.app)
            chores += [asyncio.create_task(each) for each in self._chores()]
            with suppress(TimeoutError):
                async with asyncio.timeout(_KNOWN_SECONDS):
                    await self.discovery.known.wait()
            self.log.info(f"router of {self.config.namespace}/{self.config.endpoint} listens on port {port}")
            started(port)
            await stop.wait()
            await self._leave()
        finally:
            await _end(chores)
            await self.front.closed()
            self.connections.close()
            await self.notices.close()
            await self.choosing.close()
            self.log.flush()

    async def _leave(self) -> None:
        """Take no more work, let requests end within the grace, then drains in what is left of it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.config.timing.grace
        self.doors.open = False
        self.front.close()
        for connection in list(self.doors.inside):
            connection.retire()
        if self.doors.tasks:
            await asyncio.wait(set(self.doors.tasks), timeout=self.config.timing.grace)
        cut = list(self.doors.tasks)
        await _end(cut)
        left = await self.background.finish(max(0.0, deadline - loop.time()))
        for connection in list(self.doors.inside):
            connection.close()
        self.log.info(f"router stopped: requests_cut={len(cut)} transfers_left={left}")

    def _chores(self) -> "list[Coroutine[Any, Any, None]]":
        return [self.discovery.run(), self.health.run(), self.usage.run(), self._sweep(), self.front.run()]

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.connections.expire()
            self.front.expire(loop.time())


def assemble(config: Config, log: Log) -> Router:
    """Put a router together; must be called inside a running loop."""
    encoder = prepared(config)
    timing, transfer = config.timing, config.transfer or Transfer()
    pool = Pool(new_id()[:8], transfer.buffers, config.standing.ejection)
    background, doors, notices = Background(), Doors(), NoticeBoard()
    connections = Connections(timing.upstream_keep_alive, timing.connect)
    legs = WireLegs(connections)
    own_metrics = config.surface.metrics is None
    routes = Routes(config.policy.invocation, metrics=own_metrics, sagemaker=config.sagemaker)
    entrance = front(config, routes, doors, log, new_id)
    metrics = Metrics(routes.paths, pool, lambda: len(background))
    drains = Drains(pool, legs, background)
    chosen = choosing(config, encoder, pool, legs, log)
    metrics.registry.register(chosen.gauges)
    handover = Handover(
        policy=config.policy,
        pool=pool,
        connector=connector_named(transfer.connector),
        chooser=chosen.chooser,
        legs=legs,
        notices=notices,
        background=background,
        drains=drains,
        new_id=new_id,
    )
    delivery: Delivery[Answering] = Delivery(config.policy, pool, legs, drains)
    access = AccessLog(log, config.surface.logs.sample)

    def report(record: Record) -> None:
        metrics.record(record)
        access.record(record)

    tell = log.of
    path = Path(config.policy, pool, chosen.counts, chosen.chooser, handover, delivery, time.monotonic, tell, report)
    return Router(
        config=config,
        pool=pool,
        background=background,
        choosing=chosen,
        connections=connections,
        notices=notices,
        doors=doors,
        discovery=discovery_of(config.lookup, config.targets, pool, log.info),
        front=entrance,
        health=Health(pool, legs, config.standing.checks, log.info),
        usage=Usage(
            pool, transfer.buffers, legs, transfer.usage_interval, config.standing.checks.timeout, log.info, log.warning
        ),
        app=App(
            routes=routes,
            openapi=document(routes),
            policy=config.policy,
            path=path,
            runtime=Runtime(config.sagemaker, path),
            pool=pool,
            legs=legs,
            metrics=metrics,
            trouble=lambda: entrance.trouble,
            tell_error=log.error,
            access=access,
        ),
        log=log,
    )


async def serve(config: Config, log: Log) -> None:
    """Run a router until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await assemble(config, log).run(stop)


async def _end(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
