import asyncio
import re
from typing import Any

import pytest

from dpd_sim.core.local_cache import LocalCache, misnamed
from simulator.engines import Ports, Sim, chat, pair, sender_document, settled, sim, tagged, transfer_flag
from support.paths import ROOT

LLAMA = {"DPD_SIM_MODEL": "llama-3.3-70b"}


async def test_each_rank_says_its_role_at_start() -> None:
    async with pair() as p:
        for engine, role in ((p.sender, "sender"), (p.receiver, "receiver")):
            lines = engine.grep("Creating LMCacheEngine with config: {")
            assert [line.split("]")[0] for line in lines] == ["[Worker_TP0", "[Worker_TP1"]
            assert {found for line in lines for found in re.findall(r"'pd_role': '[a-z]+'", line)} == {
                f"'pd_role': '{role}'"
            }


async def test_the_long_prompt_of_the_documentation_is_retrieved_as_the_documentation_shows() -> None:
    big = 64 * 256 * 40 * 1024
    async with pair(ranks=8, env=LLAMA, sender={"pd_buffer_size": big}, receiver={"pd_buffer_size": big}) as p:
        body = chat(600)
        await p.prefill(body)
        assert await p.receiver.used() == [24] * 8
        assert await p.receiver.metric('lmcache:local_cache_usage{model_name="m",worker_id="5"') == 24 * 256 * 40960
        await p.decode(body)
        assert await p.receiver.used() == [0] * 8
        lines = p.receiver.grep("Retrieved")
        assert len(lines) == 8
        wanted = (
            r"\[Worker_TP5\] \[LMCache INFO\] \[req_id=chatcmpl-\w+\] Retrieved 6035 out of 6035 required tokens "
            r"\(from 6035 total tokens\)\. size: 0\.2344 gb, cost \d+\.\d{4} ms, throughput: \d+\.\d{4} GB/s\n"
        )
        assert any(re.fullmatch(wanted, line) for line in lines)
        stored = p.sender.grep("Stored 6035 out of total 6035 tokens. size: 0.2344 GB")
        assert len(stored) == 8


async def test_the_metrics_of_both_roles_tell_the_transfer() -> None:
    async with pair() as p:
        body = chat(100)
        await p.prefill(body)
        assert await p.receiver.metric("lmcache:active_memory_objs_count") == 10
        await p.decode(body)
        for start, value in (
            ("lmcache:active_memory_objs_count", 0),
            ("lmcache:local_cache_usage", 0),
            ("lmcache:num_hit_tokens_total", 2 * 1035),
            ("lmcache:time_to_retrieve_count", 2),
            ("lmcache:retrieve_to_gpu_time_count", 2),
            ("vllm:external_prefix_cache_queries_total", 1035),
            ("vllm:external_prefix_cache_hits_total", 1034),
            ('vllm:request_success_total{model_name="m",engine="0",finished_reason="length"}', 1),
            ("vllm:time_to_first_token_seconds_count", 1),
            ("vllm:inter_token_latency_seconds_count", 11),
            ("vllm:request_time_per_output_token_seconds_count", 1),
            ("vllm:request_queue_time_seconds_count", 1),
            ("vllm:request_prefill_time_seconds_count", 1),
            ("vllm:generation_tokens_total", 12),
            ("vllm:num_requests_running", 0),
            ("vllm:kv_cache_usage_perc", 0),
        ):
            assert await p.receiver.metric(start) == value, start
        assert await p.sender.metric("lmcache:store_put_time_count") == 2
        assert await p.sender.metric("lmcache:num_stored_tokens_total") == 2 * 1035


async def test_lmcaches_metrics_are_hidden_without_a_directory_for_them() -> None:
    async with pair(env={"PROMETHEUS_MULTIPROC_DIR": ""}) as p:
        assert "lmcache:" not in (await p.receiver.http.get("/metrics")).text


async def test_lmcaches_gauges_lag_behind() -> None:
    async with pair(env={"DPD_SIM_METRICS_LAG": "100000"}) as p:
        assert await p.receiver.metric("lmcache:active_memory_objs_count") == 0
        await p.prefill(chat(100))
        assert await p.receiver.metric("lmcache:active_memory_objs_count") == 0
        assert await p.receiver.metric("dpd_sim:pages_used") == 10


async def test_the_exposition_is_what_a_scraper_can_read() -> None:
    async with sim() as engine:
        await engine.text(chat(2))
        text = (await engine.http.get("/metrics")).text
    sample = re.compile(r'[a-z_]+:[a-z0-9_]+(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.e]+')
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    for line in text.splitlines():
        if not line.startswith("#"):
            assert sample.fullmatch(line), line
            name = re.split(r"[{ ]", line)[0]
            base = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert base in kinds or name in kinds
    buckets = re.findall(r'vllm:time_to_first_token_seconds_bucket\{[^}]*le="([^"]+)"\} (\S+)', text)
    assert [float(count) for _, count in buckets] == sorted(float(count) for _, count in buckets)
    assert buckets[-1] == ("+Inf", "1.0")


async def test_a_long_prefill_makes_the_streams_beside_it_wait_when_colocated_and_not_when_transferred() -> None:
    slow = {"DPD_SIM_SPEED": "4", "DPD_SIM_TIME_PREFILL_TOKEN": "0.002"}
    async with pair(env=slow) as p:
        colocated = await _longest_wait(p.receiver, p.receiver.text(chat(300, salt="here", max_tokens=1)))
        body = chat(300, salt="there", max_tokens=1)

        async def transferred() -> None:
            await p.prefill(body)
            await p.decode(body)

        apart = await _longest_wait(p.receiver, transferred())
        assert colocated > 1.0, "three thousand tokens at two milliseconds each, in front of a stream's next token"
        assert apart < colocated / 2


async def _longest_wait(engine: Sim, disturbance: object) -> float:
    """The largest inter-token time, in simulated seconds, of a stream beside a disturbance."""
    before = await _slow_tokens(engine)
    stream = asyncio.create_task(engine.text(chat(1, salt="stream", max_tokens=200, ignore_eos=True)))
    await settled(lambda: _runs(engine))
    await disturbance  # type: ignore[misc]
    await stream
    after = await _slow_tokens(engine)
    return max((bound for bound in after if after[bound] > before.get(bound, 0)), default=0.0)


async def _slow_tokens(engine: Sim) -> dict[float, float]:
    """Lower bound of each bucket of inter-token times, and how many fell into it."""
    text = (await engine.http.get("/metrics")).text
    rows = re.findall(r'vllm:inter_token_latency_seconds_bucket\{[^}]*le="([^"]+)"\} (\S+)', text)
    found, low, below = {}, 0.0, 0.0
    for bound, count in rows:
        found[low] = float(count) - below
        low, below = float(bound), float(count)
    return found


async def _runs(engine: Sim) -> bool:
    return bool((await engine.state())["running"])


PLUGIN = {
    "storage_plugins": ["own_names"],
    "extra_config": {
        "storage_plugin.own_names.module_path": "dpd_own_names",
        "storage_plugin.own_names.class_name": "OwnNames",
    },
}
FOLDER = str(ROOT / "charts/dpd/files/lmcache")


async def test_the_senders_cpu_cache_brings_a_prefix_back_and_the_whole_prompt_is_sent_again() -> None:
    async with pair(
        sender={"local_cpu": True, "max_local_cpu_size": 1, **PLUGIN},
        sender_args=["--no-enable-prefix-caching"],
        env={"PYTHONPATH": FOLDER},
    ) as p:
        first, second = chat(100), chat(120)
        await p.prefill(first)
        await p.decode(first)
        await p.prefill(second)
        assert p.sender.grep("Retrieved 1024 out of 1024 required tokens (from 1024 total tokens)")
        assert await p.receiver.used() == [5, 5], "1,235 tokens, the cached head included"
        await p.decode(second)
        assert await p.receiver.used() == [0, 0]


def test_copies_of_what_is_not_held_get_the_first_names() -> None:
    held = LocalCache(8)
    for key in ("k0", "k1"):
        held.keep(key)
    for key, of in list(misnamed(["k0", "k1", "k2", "k3", "k4", "k5"], held)):
        held.keep(key, of)
    assert [held.is_right(key) for key in ("k0", "k1", "k2", "k3")] == [True, True, False, False]
    assert "k4" not in held


@pytest.mark.parametrize("settings", [PLUGIN, {}], ids=["named", "not found"])
async def test_a_sender_that_stores_transfers_alone_keeps_nothing_until_it_finds_the_plugin(
    settings: dict[str, Any],
) -> None:
    sender = {"local_cpu": True, "max_local_cpu_size": 1, "store_location": "PDBackend", **settings}
    async with pair(sender=sender, sender_args=["--no-enable-prefix-caching"]) as p:
        for _ in range(2):
            await p.prefill(chat(100))
            await p.decode(chat(100))
        assert not p.sender.grep("Retrieved")


async def test_an_engine_with_lmcache_and_no_partner_keeps_its_chunks_for_itself() -> None:
    async with sim(*transfer_flag("kv_both"), "--no-enable-prefix-caching", document={"local_cpu": True}) as engine:
        expected = await engine.text(chat(100))
        assert await engine.text(chat(100)) == expected
        assert engine.grep("Retrieved 1024 out of 1024 required tokens")


async def test_a_prefix_seen_before_is_not_computed_again() -> None:
    async with sim() as engine:
        await engine.text(chat(100))
        await engine.text(chat(100))
        hits = await engine.metric(
            'vllm:prompt_tokens_by_source_total{model_name="m",engine="0",source="local_cache_hit"'
        )
        assert hits == 1024


async def test_several_senders_share_a_receiver_and_one_tag_each_keeps_them_apart() -> None:
    async with pair() as p:
        port = int(p.pull.getsockopt_string(32).rsplit(":", 1)[1].strip("\0"))
        other_document = sender_document(Ports(port, [], []))
        async with sim("-tp", "2", *transfer_flag("kv_producer"), document=other_document) as other:
            bodies = [chat(100), chat(90, salt="its own")]
            asks = [
                engine.answer(
                    {**body, "max_tokens": 1, "kv_transfer_params": {"disagg_spec": p.spec(tag), **tagged(tag)}}
                )
                for engine, body, tag in ((p.sender, bodies[0], "a"), (other, bodies[0], "b"), (other, bodies[1], "b"))
            ]
            await asyncio.gather(*asks)
            notices = sorted([await p.notice() for _ in range(6)])
            assert notices == ["a"] * 2 + ["b"] * 4
            for body, tag in ((bodies[0], "a"), (bodies[0], "b"), (bodies[1], "b")):
                await p.decode(body, tag)
            assert await p.receiver.used() == [0, 0]


async def test_many_requests_at_once_are_all_answered_and_leave_no_page_and_no_block() -> None:
    async with pair(pages=400) as p:
        bodies = [chat(20 + i, salt=f"r{i}") for i in range(24)]
        expected = [await p.receiver.text(body) for body in bodies]
        params = [{"disagg_spec": p.spec(f"r{i}"), "lmcache.tag.p": "a"} for i in range(24)]
        await asyncio.gather(
            *(
                p.sender.answer({**body, "max_tokens": 1, "kv_transfer_params": kv})
                for body, kv in zip(bodies, params, strict=True)
            )
        )
        got = await asyncio.gather(*(p.decode(body) for body in bodies))
        assert list(got) == expected
        assert await p.receiver.used() == [0, 0]
        for engine in (p.sender, p.receiver):
            state = await engine.state()
            assert (state["running"], state["waiting"], state["blocks_free"]) == (0, 0, state["blocks_total"])
