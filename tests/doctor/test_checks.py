"""Facts to findings, for what a cluster alone can show, and for lines that no simulated engine writes."""

from dataclasses import replace

import pytest

from dpd.doctor.checks import CHECKS, FOLLOWS, SKIPPED, examine, faults
from dpd.doctor.facts import Container, Facts, Pod
from dpd.doctor.text import text_of
from dpd.doctor.traffic import FALLBACKS
from observe.rules import table

WORKER = "decode-dpd-test"
THREE = tuple(Container(name) for name in (WORKER, "sidecar-reverse-proxy", "otel-collector"))
WAITING = (Container(WORKER, ready=False, waiting="ContainerCreating"), *THREE[1:])
PULLING = (Container(WORKER, ready=False, waiting="ImagePullBackOff", said="not found"), *THREE[1:])
DECODER = Pod(
    "decode-1", "decode", "10.0.0.2:8081", THREE, variables={"PYTHONHASHSEED": "0"}, cache={"enable_pd": True}
)
PREFILLER = replace(DECODER, name="prefill-1", role="prefill", address="10.0.0.1:8081")
ROUTER = Pod("router-1", "router", "10.0.0.3:8080", THREE[:2], log="[INFO] router of default/dpd-test listens\n")
HEALTHY = Facts(
    "dpd-test",
    (PREFILLER, DECODER, ROUTER),
    ("prefill", "decode", "router"),
    {"routing": {"threshold": 4096, "strategy": "prefixaware"}},
    collected=True,
)
ENDED = (
    "[INFO] access request_id=a1 route=disaggregated reason=threshold decoder=10.0.0.2:8081 bytes_in=9 end=complete\n"
)
RETRIEVED = "[LMCache INFO] [req_id=chatcmpl-{}] Retrieved {} out of 6035 required tokens (from 6035 total tokens).\n"


def ill(pod: Pod, **changes: object) -> Facts:
    """The healthy endpoint with one pod changed."""
    changed = replace(pod, **changes)  # type: ignore[arg-type]
    return replace(HEALTHY, pods=tuple(changed if each is pod else each for each in HEALTHY.pods))


ILL = {
    "gpu": ill(DECODER, containers=(), unscheduled="0/4 nodes are available: 4 Insufficient nvidia.com/gpu."),
    "image": ill(DECODER, containers=PULLING),
    "volume": ill(DECODER, containers=WAITING, events=("FailedMount: MountVolume.SetUp failed for volume weights",)),
    "certificate-download": ill(DECODER, containers=WAITING, events=("Failed: CA download from S3: timeout",)),
    "role-missing": replace(HEALTHY, pods=(PREFILLER, ROUTER)),
    "loading": ill(DECODER, containers=(Container(WORKER, ready=False), *THREE[1:])),
    "engine-dead": ill(PREFILLER, health=503, log="ERROR vllm.v1.engine.exceptions.EngineDeadError: EngineCore died\n"),
    "lmcache-degraded": ill(DECODER, log="ERROR Failed to initialize LMCacheManager: no nixl\n"),
    "pd-role": ill(DECODER, log="Creating LMCacheEngine with config: {'pd_role': 'sender'}\n"),
    "same-image": replace(
        HEALTHY, pods=(replace(PREFILLER, image="vllm:0.4.3"), replace(DECODER, image="vllm:0.4.5"), ROUTER)
    ),
    "hash-seed": ill(DECODER, variables={"PYTHONHASHSEED": "random"}),
    "kv-not-moved": ill(DECODER, log=RETRIEVED.format("a1", 0)),
    "buffer-full": ill(DECODER, log="[LMCache WARNING] Failed to allocate memory object, retrying...\n"),
    "transfer-slow": ill(
        PREFILLER, log="Stored 6035 out of total 6035 tokens. size: 0.2344 GB, cost 1 ms; put_time: 469.0 ms\n"
    ),
    "threshold-high": ill(
        ROUTER, log="[INFO] Conditional routing: estimated_tokens=6750, threshold=8192, disaggregate=False\n"
    ),
    "fallback": ill(ROUTER, log=ENDED.replace("disaggregated reason=threshold", "direct reason=never_fits")),
    "uneven-prefillers": replace(
        HEALTHY,
        pods=(
            replace(PREFILLER, metrics='vllm:request_success_total{finished_reason="length"} 40.0\nlmcache:x 1\n'),
            replace(PREFILLER, name="prefill-2", metrics="vllm:request_success_total 2\nlmcache:x 1\n"),
            DECODER,
            ROUTER,
        ),
    ),
    "kvaware-miss": ill(ROUTER, log="[INFO] Matched instance url None\n"),
    "no-metrics": replace(HEALTHY, collected=False),
    "probe": replace(HEALTHY, probes=("the long prompt is answered 502",)),
}


def names(facts: Facts) -> list[str]:
    return [each.name for each in faults(examine(facts))]


def test_a_healthy_endpoint_has_no_fault() -> None:
    assert names(HEALTHY) == []


def test_every_check_is_in_the_table() -> None:
    assert set(ILL) == {each.name for each in CHECKS}


@pytest.mark.parametrize("fault", ILL)
def test_each_fault_is_named_alone_with_what_was_seen_and_a_remedy(fault: str) -> None:
    assert names(ILL[fault]) == [fault]
    found = next(each for each in examine(ILL[fault]) if each.name == fault)
    assert found.seen
    assert found.remedy


def test_a_symptom_refers_to_its_cause() -> None:
    findings = {each.name: each for each in examine(ILL["gpu"])}
    assert (findings["loading"].verdict, findings["loading"].remedy) == (FOLLOWS, "see gpu")


def test_a_volume_that_came_in_the_end_is_no_fault() -> None:
    assert names(ill(DECODER, events=("FailedMount: MountVolume.SetUp failed for volume weights",))) == []


def test_an_engine_that_died_and_lives_again_is_no_fault() -> None:
    assert names(ill(PREFILLER, health=200, log="EngineDeadError\nApplication startup complete\n")) == []


def test_a_prompt_that_the_decoder_took_over_is_no_fault() -> None:
    taken = replace(DECODER, log=RETRIEVED.format("a1", 6035))
    facts = replace(HEALTHY, pods=(PREFILLER, taken, replace(ROUTER, log=ENDED)))
    assert names(facts) == []


def test_what_a_decoder_that_is_gone_took_over_is_not_asked_of_its_successor() -> None:
    log = f"{ENDED}[INFO] worker up: role=decode worker=10.0.0.2:8081\n"
    assert names(ill(ROUTER, log=log)) == []
    assert names(ill(ROUTER, log=ENDED)) == ["kv-not-moved"]


def test_a_fallback_among_prompts_that_were_disaggregated_is_no_fault() -> None:
    fell = ENDED.replace("disaggregated reason=threshold", "direct reason=buffer_full")
    taken = replace(DECODER, log=RETRIEVED.format("a1", 6035))
    facts = replace(HEALTHY, pods=(PREFILLER, taken, replace(ROUTER, log=ENDED + fell)))
    assert names(facts) == []
    assert names(replace(facts, pods=(PREFILLER, taken, replace(ROUTER, log=ENDED + 2 * fell)))) == ["fallback"]


def test_a_fallback_before_a_worker_came_up_is_no_fault() -> None:
    log = ILL["fallback"].of("router")[0].log
    assert names(ill(ROUTER, log=f"{log}[INFO] worker up: role=prefill worker=10.0.0.1:8081\n")) == []


def test_the_fallbacks_are_those_of_the_alert_but_what_a_client_is_refused_for() -> None:
    assert {*table("fallbacks")} == FALLBACKS | {"prefill_refused"}


@pytest.mark.parametrize("word", ["certificate download ", "TimeoutError ", "size: 1.0 gb ", " access request_id=a "])
def test_a_line_without_end_is_neither_searched_without_end_nor_shown_whole(word: str) -> None:
    said = f"{word * 100_000}\nEngineDeadError {word * 100_000}\n"
    pods = tuple(replace(each, log=each.log + said, health=503) for each in HEALTHY.pods)
    dead = next(each for each in examine(replace(HEALTHY, pods=pods)) if each.name == "engine-dead")
    assert dead.seen.startswith("prefill-1: EngineDeadError ")
    assert len(dead.seen) < 500


def test_a_short_prompt_that_goes_direct_is_no_fault() -> None:
    log = "[INFO] Conditional routing: estimated_tokens=900, threshold=4096, disaggregate=False\n"
    assert names(ill(ROUTER, log=log)) == []


def test_pods_that_could_not_be_asked_are_told() -> None:
    asked = tuple(replace(each, health=200, metrics="vllm:x 1\nlmcache:x 1\n") for each in HEALTHY.pods)
    told = "not asked for /health and /metrics, so nothing was seen there: decode-1"
    some = replace(HEALTHY, pods=(asked[0], DECODER, asked[2]))
    assert text_of(some, examine(some)).splitlines()[-2] == told
    every = replace(HEALTHY, pods=asked)
    assert "not asked" not in text_of(every, examine(every))


def test_the_text_has_what_was_seen_and_the_remedy_below_the_check() -> None:
    lines = text_of(ILL["image"], examine(ILL["image"])).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("fault   image"))
    assert lines[at + 1] == f"        seen    decode-1: {WORKER} ImagePullBackOff: not found"
    assert lines[at + 2].startswith("        remedy  check worker.image")
    assert lines[-1] == "1 fault: image"


def test_what_needs_prompts_is_neither_good_nor_a_fault_when_none_was_sent() -> None:
    (probe,) = (each for each in examine(HEALTHY) if each.name == "probe")
    assert (probe.verdict, probe.seen, probe.remedy) == (SKIPPED, "no prompt was sent", "--probe sends two")
    assert text_of(HEALTHY, examine(HEALTHY)).splitlines()[-1] == f"{len(CHECKS) - 1} checks, nothing is wrong"
    sent = replace(HEALTHY, probes=())
    assert text_of(sent, examine(sent)).splitlines()[-1] == f"{len(CHECKS)} checks, nothing is wrong"
