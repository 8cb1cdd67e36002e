"""What chooses, put together: strategies for each role, the count of tokens, and the events that kvaware follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dpd_router.chooser import Chooser
from dpd_router.config import Config
from dpd_router.config.routing import Routing
from dpd_router.counting import Estimates, Guarded, Source, Tally
from dpd_router.counting.engine import EngineSource
from dpd_router.counting.file import Encoder, FileSource, TokenizerUnusableError, load_encoder
from dpd_router.errors import ConfigInvalidError, Problem
from dpd_router.kvevents import Feeds
from dpd_router.logs import Log
from dpd_router.pool import Pool, Role, Worker
from dpd_router.seams import Collects, Counts
from dpd_router.strategies import Strategy, strategy_named
from dpd_router.strategies.kvaware import KvAware
from dpd_router.types import Request


@dataclass(frozen=True, slots=True)
class Choosing:
    """All of it; `gauges` goes into the registry of metrics, `close` ends what runs."""

    chooser: Chooser
    counts: Counts
    doubts: Counts
    feeds: dict[Role, Feeds]
    gauges: Collector
    close_counting: Callable[[], None]

    async def close(self) -> None:
        """End every feed and thread."""
        self.close_counting()
        for feed in self.feeds.values():
            await feed.close()


def prepared(config: Config) -> Encoder | None:
    """Return the mounted tokenizer, if one is to count. Raises ConfigInvalidError when it is no use."""
    settings = config.routing.tokenizer
    if settings.mode != "file":
        return None
    try:
        return load_encoder(Path(settings.path))
    except TokenizerUnusableError as error:
        problem = Problem("routing.tokenizer.path", str(error), "mount the model's tokenizer files there")
        raise ConfigInvalidError([problem]) from None


def choosing(config: Config, encoder: Encoder | None, pool: Pool, legs: Collects, log: Log) -> Choosing:
    """Put it together; must be called inside a running loop."""
    routing = config.routing
    feeds: dict[Role, Feeds] = {}
    strategies = {role: _strategy(role, routing, feeds, log) for role in Role}
    for role, strategy in strategies.items():
        pool.watch(role, strategy)
        if role in feeds:
            pool.watch(role, feeds[role])
    tally = Tally()
    asks = _Asks(config, pool, legs, log, tally)
    counts, close = _counts(asks, encoder)
    chooser = Chooser(pool, config.policy, routing.strategy, strategies)
    return Choosing(chooser, counts, _doubts(asks), feeds, _Gauges(tally, feeds), close)


def _strategy(role: Role, routing: Routing, feeds: dict[Role, Feeds], log: Log) -> Strategy[Worker]:
    name = routing.decode_strategy if role is Role.DECODE else routing.strategy
    if name != "kvaware":
        return strategy_named(name)
    told = routing.kv_events
    made: KvAware[Worker] = KvAware(told.most_blocks)
    feeds[role] = Feeds(made.index, told.ports, told.own, told.seconds, log.warning)
    return made


@dataclass(frozen=True, slots=True)
class _Asks:
    """What counting is made of."""

    config: Config
    pool: Pool
    legs: Collects
    log: Log
    tally: Tally

    def guarded(self, source: Source, worth: Callable[[Request], bool]) -> Guarded:
        seconds = self.config.routing.tokenizer.seconds
        return Guarded(source, worth, seconds, time.monotonic, self.log.warning, self.tally)

    def engine(self) -> EngineSource:
        asked: Strategy[Worker] = strategy_named("leastload")
        for role in (Role.DECODE, Role.WORKER):
            self.pool.watch(role, asked)
        return EngineSource(self.legs, asked)


def _counts(asks: _Asks, encoder: Encoder | None) -> tuple[Counts, Callable[[], None]]:
    settings, worth = asks.config.routing.tokenizer, _worth(asks.config)
    if encoder is not None:
        mounted = FileSource(encoder, settings.threads)
        return asks.guarded(mounted, worth), mounted.close
    if settings.mode == "engine":
        return asks.guarded(asks.engine(), worth), _nothing
    return Estimates(), _nothing


def _doubts(asks: _Asks) -> Counts:
    """Return who counts a prompt that fits a decoder's buffer only if it has fewer tokens than bytes."""
    if asks.config.routing.tokenizer.mode == "engine" or asks.config.transfer is None:
        return Estimates()  # has been asked, or there is no buffer
    return asks.guarded(asks.engine(), lambda _: True)


def _worth(config: Config) -> Callable[[Request], bool]:
    """Return which requests are worth counting.

    Where token ids choose, all. Else those the threshold may turn on: a prompt has about as many tokens as its body has
    bytes at the most, so with half as many bytes as the threshold it is short, whatever a template adds.
    """
    if config.routing.wants_ids:
        return lambda _: True
    if not any(target.role is Role.PREFILL for target in config.targets):
        return lambda _: False
    return lambda request: 2 * len(request.raw) >= config.policy.threshold


def _nothing() -> None:
    """Close nothing."""


class _Gauges(Collector):
    """Reads the tallies when it is asked."""

    def __init__(self, tally: Tally, feeds: dict[Role, Feeds]) -> None:
        self._tally = tally
        self._feeds = feeds

    def collect(self) -> list[Metric]:
        """Return what is so now."""
        counts = CounterMetricFamily("dpd_router_token_counts", "Counts of prompts.", labels=["outcome"])
        for outcome in ("counted", "failed", "rested"):
            counts.add_metric([outcome], getattr(self._tally, outcome))
        blocks = GaugeMetricFamily("dpd_router_kv_blocks", "Pairs of worker and block in the index.", labels=["role"])
        heard = CounterMetricFamily("dpd_router_kv_events", "What was heard of KV caches.", labels=["role", "kind"])
        for role, feeds in self._feeds.items():
            blocks.add_metric([role.value], len(feeds.index))
            for kind in ("batches", "gaps", "lost", "lives", "bad"):
                heard.add_metric([role.value, kind], getattr(feeds.heard, kind))
            heard.add_metric([role.value, "orphans"], feeds.index.orphans)
            heard.add_metric([role.value, "spared"], feeds.index.spared)
        return [counts, blocks, heard]
