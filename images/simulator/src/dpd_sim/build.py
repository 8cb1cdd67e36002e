"""Puts one engine together from its settings: connector, scheduler, metrics, loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from dpd_sim import build_lmcache
from dpd_sim.clock import Clock
from dpd_sim.core.block_events import BlockEvents
from dpd_sim.core.blocks import BlockPool
from dpd_sim.core.schedule import Scheduler
from dpd_sim.engine import Engine, Machine
from dpd_sim.kv_events import Publisher
from dpd_sim.log import Log
from dpd_sim.metrics import names
from dpd_sim.metrics.registry import Registry
from dpd_sim.metrics.stats import Stats
from dpd_sim.pd.connector import Connector, NoConnector
from dpd_sim.pd.nixl import HANDSHAKE_SECONDS, NixlConnector, NixlFacts
from dpd_sim.pd.receiver import ReceiverRank
from dpd_sim.settings import Settings, SettingsError

STEP_LIMIT_ENV = "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"
STEP_LIMIT_SECONDS = 300.0
MIN_STEP_LIMIT_SECONDS = 10.0
SIDE_HOST_ENV = "VLLM_NIXL_SIDE_CHANNEL_HOST"
SIDE_PORT_ENV = "VLLM_NIXL_SIDE_CHANNEL_PORT"
LEASE_ENV = "VLLM_NIXL_ABORT_REQUEST_TIMEOUT"
MIN_PATIENCE_SECONDS = 1.0
"""However fast the simulated time: a busy machine needs its moment to answer."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A running engine's parts, for the HTTP surface."""

    engine: Engine
    vllm: Registry
    lmcache: Registry
    receivers: list[ReceiverRank]
    healthy: bool
    page_bytes: int
    publisher: Publisher | None


async def build(settings: Settings, log: Log) -> Parts:
    """Make an engine that is ready to run; its connector's sockets are bound when this returns."""
    clock = Clock(settings.knobs.speed)
    common = {"model_name": settings.names[0]}
    vllm = Registry((*names.VLLM, *names.SIMULATOR), {**common, "engine": "0"})
    lmcache = Registry(names.LMCACHE, common)
    connector: Connector = NoConnector()
    receivers, healthy, page_bytes = list[ReceiverRank](), True, 0
    kind = str((settings.flags.kv_transfer_config or {}).get("kv_connector", ""))
    if kind.startswith("LMCache"):
        started = await build_lmcache.start(settings, clock, log, lmcache)
        connector, receivers = started.connector, started.receivers
        healthy, page_bytes = started.healthy, started.page_bytes
    elif kind:
        connector = _nixl(_nixl_facts(settings, clock, log, vllm))
    publisher = _publisher(settings)
    machine = _machine(settings, clock, log, publisher.publish if publisher else _nobody)
    engine = Engine(_scheduler(settings), connector, machine, Stats(vllm, bool(kind)))
    return Parts(engine, vllm, lmcache, receivers, healthy, page_bytes, publisher)


def _publisher(settings: Settings) -> Publisher | None:
    config = settings.kv_events
    if not config.publishes:
        return None
    try:
        return Publisher(config)
    except zmq.ZMQError as error:
        places = f"{config.endpoint}, {config.replay_endpoint}"
        raise SettingsError(f"--kv-events-config: {places}: {error}; give each engine its own") from error


def _nobody(_events: list[list[Any]]) -> None:
    """Tell nobody."""


def _scheduler(settings: Settings) -> Scheduler:
    flags = settings.flags
    blocks = flags.num_gpu_blocks_override or settings.kv_tokens // flags.block_size
    events = BlockEvents()
    pool = BlockPool(blocks, flags.block_size, flags.enable_prefix_caching, events.removed)
    return Scheduler(pool, flags.max_num_seqs, flags.max_num_batched_tokens, events)


def _machine(settings: Settings, clock: Clock, log: Log, publish: Callable[[list[list[Any]]], None]) -> Machine:
    timing = settings.knobs.timing
    return Machine(timing, clock.now, clock.pause, log, _step_limit(settings), _recompute(settings), publish)


def _recompute(settings: Settings) -> bool:
    policy: str = (settings.flags.kv_transfer_config or {}).get("kv_load_failure_policy", "fail")
    return policy == "recompute"


def _step_limit(settings: Settings) -> float | None:
    """Real seconds a step may take before the workers are given up; one rank alone has no such limit."""
    if settings.ranks == 1:
        return None
    given = settings.env.get(STEP_LIMIT_ENV)
    if given is not None:
        return float(given) / settings.knobs.speed
    return max(MIN_STEP_LIMIT_SECONDS, STEP_LIMIT_SECONDS / settings.knobs.speed)


def _nixl(facts: NixlFacts) -> NixlConnector:
    try:
        return NixlConnector(facts)
    except zmq.ZMQError as error:
        place = f"{facts.host}:{facts.port}"
        raise SettingsError(f"{SIDE_HOST_ENV}, {SIDE_PORT_ENV}: {place}: {error}; give each engine its own") from error


def _nixl_facts(settings: Settings, clock: Clock, log: Log, metrics: Registry) -> NixlFacts:
    flags, env = settings.flags, settings.env
    return NixlFacts(
        model=flags.model,
        dtype=f"{flags.dtype}/{flags.kv_cache_dtype}",
        ranks=settings.ranks,
        host=env.get(SIDE_HOST_ENV, "localhost"),
        port=int(env.get(SIDE_PORT_ENV, "5600")),
        block_size=flags.block_size,
        block_bytes=settings.token_bytes * flags.block_size,
        lease=float(env.get(LEASE_ENV, "480")),
        patience=max(MIN_PATIENCE_SECONDS, HANDSHAKE_SECONDS / settings.knobs.speed),
        recompute=_recompute(settings),
        timing=settings.knobs.timing,
        clock=clock.now,
        pause=clock.pause,
        log=log,
        metrics=metrics,
    )
