"""Puts one engine together from its settings: buffers, sockets, connector, scheduler, metrics."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio

from dpd_sim import lmcache_config
from dpd_sim.core import keys
from dpd_sim.core.blocks import BlockPool
from dpd_sim.core.local_cache import LocalCache
from dpd_sim.core.pages import PageBuffer, pages_in
from dpd_sim.core.schedule import Scheduler
from dpd_sim.engine import Engine, Machine
from dpd_sim.lmcache_config import Loaded
from dpd_sim.log import Log
from dpd_sim.metrics import names
from dpd_sim.metrics.registry import Registry
from dpd_sim.metrics.stats import Stats
from dpd_sim.pd.connector import Connector, NoConnector
from dpd_sim.pd.lmcache import LMCacheConnector, Stores, cancel
from dpd_sim.pd.receiver import ReceiverRank
from dpd_sim.pd.report import GIB, Facts
from dpd_sim.pd.sender import SenderRank
from dpd_sim.settings import Settings

STEP_LIMIT_ENV = "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"


@dataclass(slots=True)
class Parts:
    """A running engine's parts, for the HTTP surface."""

    engine: Engine
    vllm: Registry
    lmcache: Registry
    stores: Stores
    receivers: list[ReceiverRank]
    healthy: bool
    page_bytes: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Simulated time: `speed` simulated seconds pass in a real one."""

    speed: float

    def now(self) -> float:
        """Simulated seconds since some moment."""
        return asyncio.get_running_loop().time() * self.speed

    async def pause(self, seconds: float) -> None:
        """Sleep simulated seconds; always lets others run."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)


async def build(settings: Settings, log: Log) -> Parts:
    """Make an engine that is ready to run; its connector's sockets are bound when this returns."""
    clock = Clock(settings.knobs.speed)
    common = {"model_name": settings.names[0]}
    vllm = Registry((*names.VLLM, *names.SIMULATOR), {**common, "engine": "0"})
    lmcache = Registry((*names.LMCACHE, *names.SIMULATOR), common)
    stores, receivers = Stores(), list[ReceiverRank]()
    transfer = settings.flags.kv_transfer_config
    connector: Connector = NoConnector()
    healthy, page_bytes = True, 0
    if transfer and str(transfer["kv_connector"]).startswith("LMCache"):
        loaded = _load(settings, transfer, log)
        facts = _facts(settings, transfer, loaded, (clock.now, clock.pause), log, lmcache)
        page_bytes = facts.page_bytes
        connector, healthy = await _lmcache(facts, loaded, stores, receivers)
    pool = BlockPool(_blocks(settings), settings.flags.block_size, settings.flags.enable_prefix_caching)
    scheduler = Scheduler(pool, settings.flags.max_num_seqs, settings.flags.max_num_batched_tokens)
    machine = Machine(
        settings.knobs.timing,
        clock.now,
        clock.pause,
        log,
        _step_limit(settings),
        (transfer or {}).get("kv_load_failure_policy", "fail") == "recompute",
    )
    engine = Engine(scheduler, connector, machine, Stats(vllm, transfer is not None))
    return Parts(engine, vllm, lmcache, stores, receivers, healthy, page_bytes)


def _blocks(settings: Settings) -> int:
    return settings.flags.num_gpu_blocks_override or settings.kv_tokens // settings.flags.block_size


def _step_limit(settings: Settings) -> float | None:
    """Real seconds a step may take before the workers are given up; one rank alone has no such limit."""
    if settings.ranks == 1:
        return None
    return float(settings.env.get(STEP_LIMIT_ENV, "300")) / settings.knobs.speed


def _load(settings: Settings, transfer: dict[str, Any], log: Log) -> Loaded:
    extra = transfer.get("kv_connector_extra_config") or {}
    loaded = lmcache_config.load(settings.cache_document, settings.env, extra, settings.ranks)
    if settings.cache_problem:
        loaded = Loaded(loaded.config, loaded.warnings, (settings.cache_problem, *loaded.problems))
    for warning in loaded.warnings:
        log.worker(0, "WARNING", warning)
    for rank in range(settings.ranks):
        log.worker(rank, "INFO", f"Creating LMCacheEngine with config: {loaded.config.shown()}")
    return loaded


def _facts(
    settings: Settings,
    transfer: dict[str, Any],
    loaded: Loaded,
    time: tuple[Callable[[], float], Callable[[float], Awaitable[None]]],
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
        clock=time[0],
        pause=time[1],
        log=log,
        metrics=metrics,
        skip_last=int(extra.get("skip_last_n_tokens", 0)),
        keep_partial=not extra.get("discard_partial_chunks", False),
    )


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
