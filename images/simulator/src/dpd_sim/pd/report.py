"""What LMCache says about a transfer: its log lines and its metrics, per rank. Also the facts both halves share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dpd_sim.core import keys
from dpd_sim.core.timing import Timing
from dpd_sim.lmcache_config import LMCacheConfig
from dpd_sim.log import Log
from dpd_sim.metrics.registry import Registry

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Facts:
    """What the connector knows of its engine; `clock` gives seconds, `pause` sleeps simulated seconds."""

    config: LMCacheConfig
    space: keys.KeySpace
    root: str
    ranks: int
    token_bytes: int
    timing: Timing
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    log: Log
    metrics: Registry
    skip_last: int = 0
    keep_partial: bool = True
    recompute: bool = False
    own_names: bool = False

    @property
    def page_bytes(self) -> int:
        """Bytes of one chunk on one rank; a partial chunk takes as many."""
        return self.token_bytes * self.config.chunk_size


@dataclass(frozen=True, slots=True)
class Moved:
    """Chunks of one request that one rank retrieved or stored: tokens, pages, the sequence's tokens, seconds."""

    tokens: int
    pages: int
    total: int
    seconds: float


def lookup(facts: Facts, tokens: int, hit: int) -> None:
    """Count one lookup."""
    facts.metrics.add("lmcache:num_lookup_requests", worker_id="0")
    facts.metrics.add("lmcache:num_lookup_tokens", tokens, worker_id="0")
    facts.metrics.add("lmcache:num_lookup_hits", hit, worker_id="0")


def retrieved(facts: Facts, rank: int, request_id: str, moved: Moved) -> None:
    """Log and count one rank's retrieval."""
    facts.log.request(
        rank,
        request_id,
        f"Retrieved {moved.tokens} out of {moved.tokens} required tokens (from {moved.total} total tokens). "
        f"{_cost(facts, moved)}",
    )
    count, worker = facts.metrics, str(rank)
    count.add("lmcache:num_retrieve_requests", worker_id=worker)
    count.add("lmcache:num_requested_tokens", moved.tokens, worker_id=worker)
    count.add("lmcache:num_hit_tokens", moved.tokens, worker_id=worker)
    count.observe("lmcache:time_to_retrieve", moved.seconds, worker_id=worker)
    count.observe("lmcache:retrieve_to_gpu_time", moved.seconds, worker_id=worker)
    if moved.seconds:
        count.observe("lmcache:retrieve_speed", moved.tokens / moved.seconds, worker_id=worker)


def stored(facts: Facts, rank: int, request_id: str, moved: Moved) -> None:
    """Log and count one rank's store: of a prompt computed in pieces, one line for each."""
    facts.log.request(
        rank,
        request_id,
        f"Stored {moved.tokens} out of total {moved.tokens} tokens. {_cost(facts, moved, 'GB')}; "
        f"offload_time: 0.0000 ms, put_time: {moved.seconds * 1000:.4f} ms",
    )
    count, worker = facts.metrics, str(rank)
    count.add("lmcache:num_store_requests", worker_id=worker)
    count.add("lmcache:num_stored_tokens", moved.tokens, worker_id=worker)
    count.observe("lmcache:time_to_store", moved.seconds, worker_id=worker)
    count.observe("lmcache:store_put_time", moved.seconds, worker_id=worker)
    if moved.seconds:
        count.observe("lmcache:store_speed", moved.tokens / moved.seconds, worker_id=worker)


def _cost(facts: Facts, moved: Moved, unit: str = "gb") -> str:
    size = moved.pages * facts.page_bytes / GIB
    rate = size / moved.seconds if moved.seconds else 0.0
    return f"size: {size:.4f} {unit}, cost {moved.seconds * 1000:.4f} ms, throughput: {rate:.4f} GB/s"
