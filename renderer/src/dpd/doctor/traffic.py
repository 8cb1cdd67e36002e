"""The rows about requests and transfers. Pure; each returns what was seen, or nothing."""

import re

from dpd.doctor.evidence import (
    computed_again,
    decisions,
    first_with,
    has_metric,
    reasons,
    retrieved_nothing,
    total,
    transfer_speed,
)
from dpd.doctor.facts import DECODE, PREFILL, ROUTER, Facts, Pod

_FULL = re.compile(r"Failed to allocate memory object")
_MISS = re.compile(r"Matched instance url None")
_LONG_TOKENS = 4096
"""From here on a prompt is long: what the threshold is unless it is set."""
THRESHOLD = "threshold"
FALLBACKS = frozenset(
    (
        "no_prefiller",
        "never_fits",
        "buffer_full",
        "prefill_failed",
        "prefill_late",
        "prefill_empty",
        "decoder_unreachable",
        "decoder_died",
    )
)
"""Why a router has a decoder compute a long prompt; what a prefiller refuses is the client's matter."""
_LAST_LONG = 10
_LEAST_GB_PER_SECOND = 1.0
_LEAST_REQUESTS_EACH = 4
_UNEVEN = 3.0


def kv_not_moved(facts: Facts) -> str:
    """A decoder computes again what a prefiller has computed."""
    for pod in facts.of(DECODE):
        line = retrieved_nothing(pod)
        if line:
            return f"{pod.name}: {line}"
        again = computed_again(facts.of(ROUTER), pod) if pod.cache.get("enable_pd") else ()
        if again:
            return f"{pod.name}: retrieved nothing of what a prefiller computed of {', '.join(again)}"
    return ""


def buffer_full(facts: Facts) -> str:
    """A decoder has no page left for a transfer."""
    return first_with(facts.engines, _FULL)


def transfer_slow(facts: Facts) -> str:
    """Ranks move their KV slower than any EFA device would."""
    for pod in facts.of(PREFILL):
        speed = transfer_speed(pod)
        if speed is not None and speed < _LEAST_GB_PER_SECOND:
            return f"{pod.name}: {speed:.2f} GB/s a rank"
    return ""


def threshold_high(facts: Facts) -> str:
    """A long prompt went to the decoder because the threshold is higher still."""
    for router in facts.of(ROUTER) if facts.of(PREFILL) else ():
        passed = [each for each in decisions(router) if not each[2] and _LONG_TOKENS <= each[0] < each[1]]
        if passed:
            tokens, threshold, _ = passed[-1]
            return f"{router.name}: a prompt of {tokens} tokens went direct, threshold={threshold}"
    return ""


def fallback(facts: Facts) -> str:
    """Decoders compute most of the prompts that were long enough for a prefiller."""
    for router in facts.of(ROUTER):
        long = [each for each in reasons(router) if each[1] in {THRESHOLD, *FALLBACKS}][-_LAST_LONG:]
        fell = [each for each in long if each[1] != THRESHOLD]
        if 2 * len(fell) > len(long):
            request, reason = fell[-1]
            return f"{router.name}: {len(fell)} of the last {len(long)} long prompts, reason={reason} ({request})"
    return ""


def uneven_prefillers(facts: Facts) -> str:
    """One prefiller has several times the prompts of another."""
    loads = {each.name: _requests(each) for each in facts.of(PREFILL) if each.metrics}
    if len(loads) < 2 or sum(loads.values()) < _LEAST_REQUESTS_EACH * len(loads):
        return ""
    most, least = max(loads, key=loads.__getitem__), min(loads, key=loads.__getitem__)
    if loads[most] < _UNEVEN * max(loads[least], 1):
        return ""
    how = f", strategy {facts.strategy}" if facts.strategy else ""
    return f"{most} had {loads[most]:.0f} prompts, {least} {loads[least]:.0f}{how}"


def kvaware_miss(facts: Facts) -> str:
    """The strategy kvaware finds nobody, because nobody tells what it holds."""
    missed = first_with(facts.of(ROUTER), _MISS)
    if missed or facts.strategy != "kvaware":
        return missed
    for router in facts.of(ROUTER):
        held = total(router, "dpd_router_kv_events_total", 'kind="batches"')
        prompts = sum(_requests(each) for each in facts.of(PREFILL))
        if router.metrics and prompts and not held:
            return f"{router.name}: {prompts:.0f} prompts were prefilled, and no prefiller told what it holds"
    return ""


def no_metrics(facts: Facts) -> str:
    """Nobody collects metrics, or there are none to collect."""
    if facts.collected is False:
        return "metrics.enabled is off: pods have no collector"
    for pod in facts.engines:
        if pod.metrics is None:
            continue
        if not has_metric(pod, "vllm:"):
            return f"{pod.name}: /metrics has nothing of the engine"
        if pod.cache.get("enable_pd") and not has_metric(pod, "lmcache:"):
            return f"{pod.name}: /metrics has nothing of LMCache; PROMETHEUS_MULTIPROC_DIR is not set"
    return ""


def probes(facts: Facts) -> str:
    """A prompt that was sent came to nothing."""
    return "; ".join(facts.probes or ())


def _requests(pod: Pod) -> float:
    return total(pod, "vllm:request_success_total")
