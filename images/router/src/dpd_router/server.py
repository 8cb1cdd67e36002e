"""The router, put together and run until it is told to stop."""

import asyncio
import signal
import time
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
from dpd_router.fallbacks import Fallbacks
from dpd_router.fastpath import FastPath
from dpd_router.front import Front, front
from dpd_router.handover import Handover
from dpd_router.health import Health
from dpd_router.ids import Ids
from dpd_router.leaving import Leaving, end
from dpd_router.logs import Log
from dpd_router.metrics import Metrics
from dpd_router.notify import NoticeBoard
from dpd_router.path import Path
from dpd_router.pool import Pool
from dpd_router.record import Record
from dpd_router.rescue import Rescue
from dpd_router.sagemaker.api import Runtime
from dpd_router.tidy import Tidy, settle
from dpd_router.tls import Expiry
from dpd_router.told import Accounts, Told
from dpd_router.tracing.assembly import Tracing, tracing_of
from dpd_router.usage import Usage
from dpd_router.vitals import Vitals
from dpd_router.wire.connections import Connections
from dpd_router.wire.downstream import Doors
from dpd_router.wire.exchange import Answering
from dpd_router.wire.held import Held
from dpd_router.wire.legs import WireLegs
from dpd_router.wire.outbox import Outbox

_SWEEP_SECONDS = 1.0
_KNOWN_SECONDS = 5.0  # how long the router waits to know its workers before it listens all the same
_MET_SECONDS = 0.01


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
    leaving: Leaving
    tracing: Tracing
    log: Log

    async def run(self, stop: asyncio.Event, started: Callable[[int], None] = lambda _: None) -> None:
        """Serve until `stop` is set, then end what is under way; `started` is told the port.

        Raises OSError when a port cannot be had.
        """
        chores: list[asyncio.Task[None]] = []
        try:
            if self.config.transfer is not None and self.config.transfer.port is not None:
                self.notices.open(self.config.transfer.host, self.config.transfer.port)
            chores += [asyncio.create_task(each) for each in self._chores()]
            with suppress(TimeoutError):
                async with asyncio.timeout(_KNOWN_SECONDS):
                    await self._acquainted()
            port = await self.front.open(self.app)
            self.log.info(f"router of {self.config.namespace}/{self.config.endpoint} listens on port {port}")
            started(port)
            await stop.wait()
            await self.leaving.run()
        finally:
            await end(chores)
            await self.front.closed()
            self.connections.close()
            await self.notices.close()
            await self.choosing.close()
            await self.tracing.close()
            self.log.flush()

    async def _acquainted(self) -> None:
        """Wait until the workers are known and were asked: a balancer sends to whoever listens, ready or not."""
        await self.discovery.known.wait()
        while not self.health.met():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_MET_SECONDS)

    def _chores(self) -> "list[Coroutine[Any, Any, None]]":
        own = [self.discovery.run(), self.health.run(), self.usage.run(), self._sweep(), self.front.run()]
        return [*own, *self.tracing.chores()]

    async def _sweep(self) -> None:
        loop, tidy = asyncio.get_running_loop(), Tidy()
        await tidy.spares.swap()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await tidy.look(len(self.doors.inside) + self.connections.count())
            self.connections.expire()
            self.front.expire(loop.time())
            if self.app.fast is not None:
                self.app.fast.expire(loop.time())


@dataclass(frozen=True, slots=True)
class _Parts:
    """What several others are made of."""

    config: Config
    log: Log
    pool: Pool
    legs: WireLegs
    background: Background
    notices: NoticeBoard
    fallbacks: Fallbacks
    chosen: Choosing
    metrics: Metrics
    access: AccessLog
    tracing: Tracing
    doors: Doors
    new_id: Ids

    @property
    def report(self) -> Callable[[Record], None]:
        """Who is told of a request that has ended."""
        return Accounts(self.metrics, self.access).report


def assemble(config: Config, log: Log) -> Router:
    """Put a router together; must be called inside a running loop."""
    encoder = prepared(config)
    timing, transfer, standing = config.timing, config.transfer or Transfer(), config.standing
    new_id = Ids()
    pool = Pool(new_id()[:8], transfer.buffers, standing.ejection)
    background, doors, notices = Background(), Doors(Held(config.limits.held_bytes)), NoticeBoard()
    connections = Connections(timing.upstream_keep_alive, timing.connect)
    legs = WireLegs(connections, timing.deadlines, config.policy.retry_after)
    routes = Routes(config.policy.invocation, metrics=config.surface.metrics is None, sagemaker=config.sagemaker)
    entrance = front(config, routes, doors, log, new_id)
    metrics = Metrics(routes.paths, pool, lambda: len(background), lambda: doors.serving)
    retry_after = config.policy.retry_after
    fallbacks = Fallbacks(standing.fallbacks, retry_after, standing.fallback_queue, standing.fallback_seconds)
    chosen = choosing(config, encoder, pool, legs, log)
    discovery = discovery_of(config.lookup, config.targets, pool, log.info)
    vitals = Vitals(pool, discovery, fallbacks, doors.held, asyncio.get_running_loop().time)
    tracing = tracing_of(config.surface.tracing, config.endpoint, config.namespace, time.monotonic, log.warning)
    metrics.join(chosen.gauges, vitals, Expiry(entrance.certificate_ends), tracing)
    access = AccessLog(log, config.surface.logs.sample)
    parts = _Parts(
        config, log, pool, legs, background, notices, fallbacks, chosen, metrics, access, tracing, doors, new_id
    )
    return Router(
        config=config,
        pool=pool,
        background=background,
        choosing=chosen,
        connections=connections,
        notices=notices,
        doors=doors,
        discovery=discovery,
        front=entrance,
        leaving=Leaving(doors, background, entrance.close, timing.leave, timing.grace, retry_after, log.info),
        health=Health(pool, legs, standing.checks, log.info),
        usage=_usage(parts),
        app=_app(parts, routes, entrance),
        tracing=tracing,
        log=log,
    )


def _usage(parts: _Parts) -> Usage:
    transfer = parts.config.transfer or Transfer()
    return Usage(
        pool=parts.pool,
        buffers=transfer.buffers,
        legs=parts.legs,
        interval=transfer.usage_interval,
        timeout=parts.config.standing.checks.timeout,
        tell=parts.log.info,
        alarm=parts.log.warning,
        counts=transfer.port is not None,
    )


def _app(parts: _Parts, routes: Routes, entrance: Front) -> App:
    path = _path(parts)
    fast = _fast(parts, routes, path)
    return App(
        routes=routes,
        openapi=document(routes),
        policy=parts.config.policy,
        path=path,
        runtime=Runtime(parts.config.sagemaker, path),
        pool=parts.pool,
        legs=parts.legs,
        metrics=parts.metrics,
        trouble=lambda: entrance.trouble,
        tell_error=parts.log.error,
        access=parts.access,
        fast=fast,
    )


def _fast(parts: _Parts, routes: Routes, path: Path[Answering]) -> FastPath | None:
    """Return the way of plain requests; None where every request is counted, traced or looked at for its session."""
    config = parts.config
    looked_at = config.surface.tracing is not None or config.policy.session is not None or config.policy.explain
    if looked_at or config.routing.tokenizer.mode != "estimate":
        return None
    told = Told(parts.log.of, parts.report, parts.metrics.count_caller, parts.log.error)
    rescue = Rescue(config.policy, parts.pool, parts.legs, path, parts.doors, told)
    outbox = Outbox(asyncio.get_running_loop().call_soon)
    others = (parts.legs.leases, rescue, told, config.timing.deadlines, outbox)
    return FastPath(config.policy, routes, parts.pool, parts.chosen.chooser, *others)


def _path(parts: _Parts) -> Path[Answering]:
    config, pool, legs, chosen = parts.config, parts.pool, parts.legs, parts.chosen
    drains = Drains(pool, legs, parts.background)
    handover = Handover(
        policy=config.policy,
        pool=pool,
        connector=connector_named((config.transfer or Transfer()).connector),
        chooser=chosen.chooser,
        legs=legs,
        notices=parts.notices,
        background=parts.background,
        drains=drains,
        new_id=parts.new_id,
    )
    delivery: Delivery[Answering] = Delivery(config.policy, pool, legs, drains, parts.fallbacks)
    tell, clock, tracer = parts.log.of, time.monotonic, parts.tracing.tracer
    counts, doubts, chooser = chosen.counts, chosen.doubts, chosen.chooser
    return Path(config.policy, pool, counts, doubts, chooser, handover, delivery, clock, tell, parts.report, tracer)


async def serve(config: Config, log: Log) -> None:
    """Run a router until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await assemble(config, log).run(stop, lambda _: settle())
