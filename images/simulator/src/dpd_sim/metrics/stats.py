"""What the engine's events do to vLLM's metrics."""

from dpd_sim.core.request import Sequence
from dpd_sim.core.schedule import Plan, Scheduler
from dpd_sim.metrics.registry import Registry


class Stats:
    """Turns admissions, tokens and ends into counters and histograms; times are simulated seconds."""

    def __init__(self, registry: Registry, connected: bool):
        self._registry = registry
        self._connected = connected

    def gauges(self, scheduler: Scheduler) -> None:
        """Bring the gauges up to date."""
        self._registry.set("vllm:num_requests_running", len(scheduler.running))
        self._registry.set("vllm:num_requests_waiting", len(scheduler.waiting))
        self._registry.set("vllm:kv_cache_usage_perc", scheduler.pool.usage)

    def step(self, plan: Plan, preempted: int) -> None:
        """Count one step's tokens."""
        self._registry.add("dpd_sim:engine_steps")
        self._registry.observe("vllm:iteration_tokens_total", sum(p.new for p in plan.prefills) + len(plan.decodes))
        if preempted:
            self._registry.add("vllm:num_preemptions", preempted)

    def admitted(self, sequence: Sequence, now: float) -> None:
        """Count where an admitted prompt's KV comes from."""
        count, tokens = self._registry, len(sequence.prompt)
        count.observe("vllm:request_queue_time_seconds", now - sequence.arrived)
        count.add("vllm:prefix_cache_queries", tokens)
        count.add("vllm:prefix_cache_hits", sequence.cached)
        if self._connected:
            count.add("vllm:external_prefix_cache_queries", tokens - sequence.cached)
            count.add("vllm:external_prefix_cache_hits", sequence.external)

    def token(self, sequence: Sequence, now: float) -> None:
        """Count one generated token; `sequence.last_token` is still the time of the one before."""
        count = self._registry
        count.add("vllm:generation_tokens")
        if sequence.last_token is not None:
            count.observe("vllm:inter_token_latency_seconds", now - sequence.last_token)
            return
        if sequence.garbled:
            count.add("dpd_sim:garbage_reads")
        count.observe("vllm:time_to_first_token_seconds", now - sequence.arrived)
        count.add("vllm:prompt_tokens", len(sequence.prompt))
        computed = len(sequence.prompt) - sequence.cached - sequence.external
        # A prompt that was there whole has its last token computed again; vLLM counts that one as a local hit besides.
        again = 1 if computed == 1 else 0
        count.add("vllm:prompt_tokens_by_source", computed, source="local_compute")
        count.add("vllm:prompt_tokens_by_source", sequence.cached + again, source="local_cache_hit")
        count.add("vllm:prompt_tokens_by_source", sequence.external, source="external_kv_transfer")

    def finished(self, sequence: Sequence, now: float) -> None:
        """Count a request's end."""
        count, output = self._registry, len(sequence.output)
        count.add("vllm:request_success", finished_reason=sequence.finish or "abort")
        if sequence.first_token is None or sequence.admitted is None:
            return
        count.observe("vllm:request_prompt_tokens", len(sequence.prompt))
        count.observe("vllm:request_generation_tokens", output)
        count.observe("vllm:request_prefill_kv_computed_tokens", len(sequence.prompt) - sequence.cached)
        count.observe("vllm:e2e_request_latency_seconds", now - sequence.arrived)
        count.observe("vllm:request_inference_time_seconds", now - sequence.admitted)
        count.observe("vllm:request_prefill_time_seconds", sequence.first_token - sequence.admitted)
        count.observe("vllm:request_decode_time_seconds", now - sequence.first_token)
        if output > 1:
            count.observe("vllm:request_time_per_output_token_seconds", (now - sequence.first_token) / (output - 1))
