"""/metrics: vLLM's registry, and LMCache's when the environment lets it through."""

from dpd_sim.build import Parts
from dpd_sim.settings import Settings

MULTIPROC = "PROMETHEUS_MULTIPROC_DIR"


class Exposition:
    """Renders an engine's metrics; LMCache's gauges are refreshed only every few seconds, as its reporter does."""

    def __init__(self, parts: Parts, settings: Settings):
        self._parts = parts
        self._lag = settings.knobs.metrics_lag
        self._shows_lmcache = bool(settings.env.get(MULTIPROC)) and settings.flags.kv_transfer_config is not None
        self._ranks = settings.ranks
        self._refreshed: float | None = None
        parts.vllm.set(
            "vllm:cache_config_info",
            1,
            block_size=str(settings.flags.block_size),
            num_gpu_blocks=str(parts.engine.scheduler.pool.total),
            enable_prefix_caching=str(settings.flags.enable_prefix_caching),
        )

    def render(self) -> str:
        """The exposition text of now."""
        parts = self._parts
        for rank, receiver in enumerate(parts.receivers):
            parts.vllm.set("dpd_sim:pages_capacity", receiver.buffer.capacity, rank=str(rank))
            parts.vllm.set("dpd_sim:pages_used", receiver.buffer.used, rank=str(rank))
            parts.vllm.set("dpd_sim:buffer_full_spins", receiver.full_spins, rank=str(rank))
        if not self._shows_lmcache:
            return parts.vllm.render()
        now = parts.engine.now()
        if self._refreshed is None or now - self._refreshed >= self._lag:
            self._refreshed = now
            self._refresh()
        return parts.vllm.render() + parts.lmcache.render()

    def _refresh(self) -> None:
        """Set the gauges. A degraded LMCache has the scheduler's few and none of an engine: so can one tell it by."""
        parts = self._parts
        parts.lmcache.set("lmcache:storage_events_ongoing_count", 0, worker_id="0")
        parts.lmcache.set("lmcache:storage_events_done_count", 0, worker_id="0")
        used = [receiver.buffer.used for receiver in parts.receivers] or [0] * self._ranks
        for rank, pages in enumerate(used if parts.healthy else []):
            parts.lmcache.set("lmcache:local_cache_usage", pages * parts.page_bytes, worker_id=str(rank))
            parts.lmcache.set("lmcache:active_memory_objs_count", pages, worker_id=str(rank))
