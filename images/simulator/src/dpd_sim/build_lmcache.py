"""Starts LMCache for one engine: reads its configuration, says its role, binds a receiver's ports."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from dpd_sim import lmcache_config
from dpd_sim.clock import Clock
from dpd_sim.core import keys
from dpd_sim.core.local_cache import LocalCache
from dpd_sim.core.pages import PageBuffer, pages_in
from dpd_sim.lmcache_config import LMCacheConfig, Loaded
from dpd_sim.log import Log
from dpd_sim.metrics.registry import Registry
from dpd_sim.pd.connector import Connector, NoConnector
from dpd_sim.pd.lmcache import LMCacheConnector, Stores, cancel
from dpd_sim.pd.receiver import ReceiverRank
from dpd_sim.pd.report import GIB, Facts
from dpd_sim.pd.sender import SenderRank
from dpd_sim.settings import Settings

OWN_NAMES = "dpd_own_names"


@dataclass(frozen=True, slots=True)
class LMCache:
    """LMCache of one engine: its connector, a receiver's ranks, the bytes of a page, and whether it works."""

    connector: Connector
    receivers: list[ReceiverRank]
    page_bytes: int
    healthy: bool


async def start(settings: Settings, clock: Clock, log: Log, metrics: Registry) -> LMCache:
    """Start it as the configuration says; a receiver's sockets are bound when this returns."""
    transfer = settings.flags.kv_transfer_config or {}
    loaded = _load(settings, transfer, log)
    facts = _facts(settings, transfer, loaded, clock, log, metrics)
    stores, receivers = Stores(), list[ReceiverRank]()
    connector, healthy = await _lmcache(facts, loaded, stores, receivers)
    return LMCache(connector, receivers, facts.page_bytes, healthy)


def _load(settings: Settings, transfer: dict[str, Any], log: Log) -> Loaded:
    extra = transfer.get("kv_connector_extra_config") or {}
    loaded = lmcache_config.load(settings.cache_document, settings.env, extra, settings.ranks)
    for warning in loaded.warnings:
        log.worker(0, "WARNING", warning)
    for rank in range(settings.ranks):
        log.worker(rank, "INFO", f"Creating LMCacheEngine with config: {loaded.config.shown()}")
    return loaded


def _facts(
    settings: Settings,
    transfer: dict[str, Any],
    loaded: Loaded,
    clock: Clock,
    log: Log,
    metrics: Registry,
) -> Facts:
    extra = transfer.get("kv_connector_extra_config") or {}
    flags = settings.flags
    dtype = flags.kv_cache_dtype if flags.kv_cache_dtype != "auto" else flags.dtype
    seed = settings.env.get("PYTHONHASHSEED")
    algorithm = loaded.config.pre_caching_hash_algorithm
    return Facts(
        config=loaded.config,
        space=keys.KeySpace(flags.model, settings.ranks, "bfloat16" if dtype == "auto" else dtype),
        root=keys.root_hash(seed, algorithm),
        ranks=settings.ranks,
        token_bytes=settings.token_bytes,
        timing=settings.knobs.timing,
        clock=clock.now,
        pause=clock.pause,
        log=log,
        metrics=metrics,
        skip_last=int(extra.get("skip_last_n_tokens", 0)),
        keep_partial=not extra.get("discard_partial_chunks", False),
        own_names=_has_own_names(loaded.config, settings.env),
    )


def _has_own_names(config: LMCacheConfig, env: Mapping[str, str]) -> bool:
    """Whether LMCache would load the plugin that names a sender's copies rightly: asked for, and to be found."""
    modules = {
        str((config.extra_config or {}).get(f"storage_plugin.{name}.module_path"))
        for name in config.storage_plugins or ()
    }
    folders = [Path(each) for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    return OWN_NAMES in modules and any((folder / f"{OWN_NAMES}.py").is_file() for folder in folders)


async def _lmcache(
    facts: Facts, loaded: Loaded, stores: Stores, receivers: list[ReceiverRank]
) -> tuple[Connector, bool]:
    """Start LMCache; when its configuration or a port is wrong the engine goes on without it, healthy to the eye."""
    problems = list(loaded.problems)
    context = zmq.asyncio.Context()
    tasks: list[asyncio.Task[None]] = []
    sockets: list[zmq.asyncio.Socket] = []
    senders: list[SenderRank] = []

    async def close() -> None:
        """End the tasks, then the sockets that they use."""
        await cancel(tasks)
        for sender in senders:
            sender.close()
        for socket in sockets:
            socket.close(linger=0)
        context.term()

    config = loaded.config
    if not problems and config.enable_pd:
        try:
            if config.pd_role == "receiver":
                _listen(facts, context, sockets, stores, receivers, tasks)
            else:
                router = f"tcp://{config.pd_proxy_host}:{config.pd_proxy_port}"
                senders += [SenderRank(context, rank, router, facts.pause) for rank in range(facts.ranks)]
        except zmq.ZMQError as error:
            problems.append(f"{type(error).__name__}: {error}")
    if problems:
        await close()
        receivers.clear()
        stores.buffers.clear()
        for problem in problems:
            facts.log.worker(0, "ERROR", f"Failed to initialize LMCache, degraded mode (recompute): {problem}")
        return NoConnector(degraded=True), False
    if config.local_cpu and config.pd_role != "receiver":
        stores.local = LocalCache(int(config.max_local_cpu_size * GIB) // facts.page_bytes)
    return LMCacheConnector(facts, stores, senders, close), True


def _listen(
    facts: Facts,
    context: zmq.asyncio.Context,
    sockets: list[zmq.asyncio.Socket],
    stores: Stores,
    receivers: list[ReceiverRank],
    tasks: list[asyncio.Task[None]],
) -> None:
    config, run = facts.config, secrets.token_bytes(8)
    pages = pages_in(config.pd_buffer_size or 0, facts.token_bytes, config.chunk_size)
    for rank in range(facts.ranks):
        rank_sockets = [context.socket(zmq.REP), context.socket(zmq.REP)]
        sockets += rank_sockets
        for socket, ports in zip(rank_sockets, (config.pd_peer_init_port, config.pd_peer_alloc_port), strict=True):
            socket.bind(f"tcp://{config.pd_peer_host}:{(ports or ())[rank]}")
        receiver = ReceiverRank(rank, run, PageBuffer(pages), facts.log.worker)
        receivers.append(receiver)
        stores.buffers.append(receiver.buffer)
        tasks.append(asyncio.create_task(receiver.serve_init(rank_sockets[0])))
        tasks.append(asyncio.create_task(receiver.serve_alloc(rank_sockets[1])))
