import asyncio
import json
from dataclasses import dataclass

import httpx
import pytest

from router.otlp import receiver, tracing
from router.rig import request, router
from router.simulated import Ports, Sim, pair

FOX = "The quick brown fox jumps over the lazy dog. "
SHORT = {"model": "m", "messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 8, "temperature": 0}
LONG = {**SHORT, "messages": [{"role": "user", "content": FOX * 600}]}


@dataclass
class Pair:
    prefiller: Sim
    decoder: Sim
    ports: Ports


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    with pair(tmp_path_factory.mktemp("engines")) as ([prefiller], decoder, ports):
        yield Pair(prefiller, decoder, ports)


def over(engines, **sections):
    return router([engines.prefiller], [engines.decoder], transfer=engines.ports.transfer, **sections)


async def ask(up, body, path="/v1/chat/completions"):
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"http://127.0.0.1:{up.port}{path}", json=body)


def said(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def salted(body, salt: str):
    """The same length of prompt, and another prompt."""
    return {**body, "messages": [{"role": "user", "content": salt + body["messages"][0]["content"]}]}


async def emptied(decoder: Sim) -> None:
    async with asyncio.timeout(10):
        while decoder.used():  # noqa: ASYNC110 - another process has no event for us
            await asyncio.sleep(0.02)


async def test_a_short_prompt_is_answered_by_the_decoder_alone(engines):
    before = engines.prefiller.asked()
    async with over(engines) as up:
        assert said(await ask(up, SHORT))
        assert "[INFO] Conditional routing: estimated_tokens=2, threshold=4096, disaggregate=False" in up.lines
    assert engines.prefiller.asked() == before


async def test_a_trace_tells_a_transfer_from_what_the_decoder_did_alone(engines):
    async with receiver() as to:
        async with over(engines, tracing=tracing(to)) as up:
            answers = [await ask(up, body) for body in (salted(LONG, "traced: "), {**SHORT, "stream": True})]
        outers = [each for each in to.spans if each.kind == "server"]
        taken = {each.attributes["dpd.path"]: to.of(each.trace) for each in outers}
        assert [each.attributes["dpd.request_id"] for each in outers] == [
            each.headers["x-request-id"] for each in answers
        ]
        own = {"POST /v1/chat/completions", "accept", "queue", "decode first token", "stream"}
        assert set(taken["direct"]) == own
        assert set(taken["disaggregated"]) == own | {"prefill", "transfer"}
        assert taken["disaggregated"]["transfer"].attributes == {"dpd.outcome": "confirmed"}
        prefill = taken["disaggregated"]["prefill"]
        assert prefill.attributes["dpd.worker"] == f"127.0.0.1:{engines.prefiller.port}"
        assert {each.error for each in to.spans} == {None}


async def test_a_long_prompt_is_prefilled_elsewhere_and_not_computed_again(engines):
    async with over(engines) as up:
        assert said(await ask(up, LONG)) == said(engines.decoder.post("/v1/chat/completions", LONG))
        assert "[INFO] Conditional routing: estimated_tokens=6750, threshold=4096, disaggregate=True" in up.lines
        assert any("transfer: confirmed=True" in line for line in up.lines)
    retrieved = [line for line in engines.decoder.lines if "Retrieved 6035 out of 6035 required tokens" in line]
    assert len(retrieved) == len(engines.ports.init), "once on each rank"
    assert engines.decoder.used() == 0


@pytest.mark.parametrize("body", [SHORT, LONG], ids=["short", "long"])
async def test_a_stream_through_the_router_is_the_engines_own(engines, body):
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    direct = engines.decoder.post("/v1/chat/completions", streamed).text
    async with over(engines) as up:
        through = (await ask(up, streamed)).text
    assert events(through) == events(direct)
    assert through.endswith("data: [DONE]\n\n")


def events(text: str) -> list:
    """A stream's events without what differs from request to request."""
    found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return [{key: value for key, value in event.items() if key not in ("id", "created")} for event in found]


async def test_the_same_prompt_twice_at_once_is_answered_twice(tmp_path):
    with pair(tmp_path, ranks=1) as ([prefiller], decoder, ports):
        async with router([prefiller], [decoder], transfer=ports.transfer) as up:
            first, second = await asyncio.gather(ask(up, LONG), ask(up, LONG))
            assert said(first) == said(second)
            await emptied(decoder)


async def test_a_client_that_leaves_during_prefill_leaves_no_page_behind(engines):
    engines.prefiller.post("/sim/delay", {"count": 1, "seconds": 0.5})
    async with over(engines) as up:
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(salted(LONG, "left ")))
        await up.until(lambda: any("prefill selection" in line for line in up.lines))
        writer.close()
        await writer.wait_closed()
        await up.until(lambda: any("end=drained" in line for line in up.lines))
        assert engines.decoder.used() == 0
        assert said(await ask(up, LONG))


async def test_clients_that_leave_at_any_time_leave_no_page_behind(engines):
    async with over(engines) as up:
        for number in range(12):
            _, writer = await asyncio.open_connection("127.0.0.1", up.port)
            writer.write(request(salted({**LONG, "stream": number % 2 == 0, "max_tokens": 40}, f"n{number} ")))
            await asyncio.sleep(0.01 * number)
            writer.close()
            await writer.wait_closed()
        await up.until(lambda: sum("access " in line for line in up.lines) == 12, seconds=20)
        await emptied(engines.decoder)
        assert said(await ask(up, LONG))
    assert engines.decoder.state()["dead"] is None


async def test_no_request_of_any_kind_kills_the_sender(engines):
    async with over(engines) as up:
        for body in (
            SHORT,
            {**SHORT, "kv_transfer_params": {"disagg_spec": {"req_id": "x"}}},
            {**LONG, "kv_transfer_params": {"ret_first_tok": True}},
            {**LONG, "n": 2, "temperature": 1},
            {**LONG, "min_tokens": 4, "stop": ["fox"], "logprobs": True, "top_logprobs": 2},
        ):
            assert said(await ask(up, body))
        assert (
            await ask(up, {"model": "m", "prompt": [FOX * 600, "b"], "max_tokens": 2}, "/v1/completions")
        ).is_success
        assert (await ask(up, {"model": "m", "prompt": FOX * 600, "max_tokens": 2}, "/v1/completions")).is_success
    assert engines.prefiller.state()["dead"] is None
    assert engines.prefiller.state()["lmcache_healthy"]
    await emptied(engines.decoder)


async def test_a_request_the_engine_refuses_is_refused_in_the_engines_words(engines):
    async with over(engines) as up:
        for body in ({**SHORT, "model": "other"}, {**LONG, "model": "other"}, {**LONG, "max_tokens": 10**9}):
            refused = await ask(up, body)
            assert refused.status_code in (400, 404)
            assert refused.json()["error"]["message"]
    await emptied(engines.decoder)


async def test_models_and_invocations_are_served(engines):
    async with over(engines) as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as client:
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == "m"
        assert said(await ask(up, SHORT, "/invocations"))
        metrics = (await client.get("/metrics")).text
        assert 'dpd_router_requests_total{code="200",path="/invocations"} 1.0' in metrics
        assert 'dpd_router_decisions_total{path="direct",reason="short"} 1.0' in metrics


async def test_a_prefiller_that_is_killed_under_a_prefill_costs_no_answer(tmp_path):
    with pair(tmp_path, ranks=1) as ([prefiller], decoder, ports):
        prefiller.post("/sim/delay", {"count": 1, "seconds": 30})
        async with router([prefiller], [decoder], transfer=ports.transfer) as up:
            asked = asyncio.create_task(ask(up, LONG))
            await up.until(lambda: any("prefill selection" in line for line in up.lines))
            await asyncio.sleep(0.1)
            prefiller.kill()
            assert said(await asked)
            await up.until(lambda: any("reason=prefill_failed" in line and "end=complete" in line for line in up.lines))
            assert said(await ask(up, LONG)), "and the next one, with no prefiller there"
            await up.until(lambda: any("worker down: role=prefill" in line for line in up.lines))
            prefiller.start()
            await up.until(lambda: len(up.router.pool.all()) == 2 and all(w.up for w in up.router.pool.all()), 30)
            assert said(await ask(up, salted(LONG, "again ")))
            assert any("route=disaggregated" in line for line in up.lines)
            await emptied(decoder)


async def test_a_decoder_that_was_restarted_serves_again(tmp_path):
    with pair(tmp_path, ranks=1) as ([prefiller], decoder, ports):
        async with router([prefiller], [decoder], transfer=ports.transfer) as up:
            assert said(await ask(up, SHORT))
            decoder.kill()
            assert (await ask(up, SHORT)).status_code in (502, 503)
            decoder.start()
            await up.until(lambda: all(each.up for each in up.router.pool.all()), 30)
            assert said(await ask(up, SHORT))
