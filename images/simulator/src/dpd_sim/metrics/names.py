"""The tables of metrics: what vLLM 0.19 and LMCache 0.4.3 call what a prefill/decode dashboard needs."""

from dpd_sim.metrics.registry import Family

_SECONDS = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    20.0,
    40.0,
    80.0,
)
_LONG = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0)
_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
_COUNT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
_FAST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SPEED = tuple(float(1000 * 2**i) for i in range(14))


def _vllm(kind: str, *rows: tuple[str, str]) -> list[Family]:
    return [Family(f"vllm:{name}", kind, text) for name, text in rows]  # type: ignore[arg-type]


def _times(prefix: str, bounds: tuple[float, ...], *rows: tuple[str, str]) -> list[Family]:
    return [Family(f"{prefix}:{name}", "histogram", text, bounds) for name, text in rows]


VLLM = (
    *_vllm(
        "gauge",
        ("num_requests_running", "Requests in the running batch."),
        ("num_requests_waiting", "Requests waiting to be scheduled."),
        ("kv_cache_usage_perc", "Share of the KV cache in use, 1 is all of it."),
        ("cache_config_info", "The cache's configuration, in labels."),
    ),
    *_vllm(
        "counter",
        ("num_preemptions", "Sequences put back into the queue for want of blocks."),
        ("prompt_tokens", "Prompt tokens processed."),
        ("prompt_tokens_by_source", "Prompt tokens by where their KV came from."),
        ("generation_tokens", "Tokens generated."),
        ("request_success", "Requests finished, by reason."),
        ("prefix_cache_queries", "Prompt tokens looked up in the prefix cache."),
        ("prefix_cache_hits", "Prompt tokens found in the prefix cache."),
        ("external_prefix_cache_queries", "Prompt tokens looked up through the connector."),
        ("external_prefix_cache_hits", "Prompt tokens found through the connector."),
        ("nixl_num_failed_transfers", "Reads of a prefiller's blocks that failed."),
        ("nixl_num_kv_expired_reqs", "Requests whose blocks were freed unread when their time ran out."),
    ),
    *_times(
        "vllm",
        _SECONDS,
        ("time_to_first_token_seconds", "Arrival to first token, a transfer's push included."),
        ("nixl_xfer_time_seconds", "Duration of a read of a prefiller's blocks."),
    ),
    *_times(
        "vllm",
        _TOKEN,
        ("inter_token_latency_seconds", "Time between two tokens of a request."),
        ("request_time_per_output_token_seconds", "Mean time per output token of a request."),
    ),
    *_times(
        "vllm",
        _LONG,
        ("e2e_request_latency_seconds", "Arrival to last token."),
        ("request_queue_time_seconds", "Arrival to admission."),
        ("request_prefill_time_seconds", "Admission to first token, a transfer's push included."),
        ("request_decode_time_seconds", "First token to last token."),
        ("request_inference_time_seconds", "Admission to last token."),
    ),
    *_times(
        "vllm",
        _COUNT,
        ("request_prompt_tokens", "Prompt tokens of a request."),
        ("request_generation_tokens", "Generated tokens of a request."),
        ("request_prefill_kv_computed_tokens", "Prompt tokens a request had to compute."),
        ("iteration_tokens_total", "Tokens of one engine step."),
        ("nixl_bytes_transferred", "Bytes of a read of a prefiller's blocks."),
    ),
)

LMCACHE = (
    Family("lmcache:local_cache_usage", "gauge", "Bytes of the rank's buffer in use."),
    Family("lmcache:active_memory_objs_count", "gauge", "Pages of the rank's buffer in use."),
    Family("lmcache:storage_events_ongoing_count", "gauge", "Storage events under way."),
    Family("lmcache:storage_events_done_count", "gauge", "Storage events that ended."),
    Family("lmcache:num_retrieve_requests", "counter", "Retrievals."),
    Family("lmcache:num_store_requests", "counter", "Stores."),
    Family("lmcache:num_lookup_requests", "counter", "Lookups."),
    Family("lmcache:num_lookup_tokens", "counter", "Tokens looked up."),
    Family("lmcache:num_lookup_hits", "counter", "Tokens found by lookups."),
    Family("lmcache:num_requested_tokens", "counter", "Tokens asked for in retrievals."),
    Family("lmcache:num_hit_tokens", "counter", "Tokens retrieved."),
    Family("lmcache:num_stored_tokens", "counter", "Tokens stored."),
    *_times(
        "lmcache",
        _FAST,
        ("time_to_retrieve", "Seconds of a retrieval."),
        ("retrieve_to_gpu_time", "Seconds of a retrieval's copy into the paged cache."),
        ("time_to_store", "Seconds of a store."),
        ("store_put_time", "Seconds of a store's put: allocation on the receiver and write."),
    ),
    *_times(
        "lmcache",
        _SPEED,
        ("retrieve_speed", "Tokens retrieved per second."),
        ("store_speed", "Tokens stored per second."),
    ),
)

SIMULATOR = (
    Family("dpd_sim:garbage_reads", "counter", "Decodes that read KV that was not theirs."),
    Family("dpd_sim:pages_capacity", "gauge", "Pages of the rank's PD buffer."),
    Family("dpd_sim:pages_used", "gauge", "Pages of the rank's PD buffer not free, now."),
    Family("dpd_sim:buffer_full_spins", "counter", "Tries of the alloc loop that found the buffer full."),
    Family("dpd_sim:engine_steps", "counter", "Engine steps."),
)
