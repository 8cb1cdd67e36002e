import asyncio
import contextlib

import httpx
import pytest
import zmq
import zmq.asyncio

from dpd_sim.pd.sender import SenderRank
from simulator.engines import (
    Pair,
    Sim,
    chat,
    pair,
    settled,
    tagged,
)
from support.ports import free_port


async def test_a_receiver_that_is_not_there_stops_the_sender_for_every_later_request() -> None:
    async with pair() as p:
        nowhere = p.spec(receiver_init_port=[1, 2], receiver_alloc_port=[3, 4])
        first = asyncio.create_task(
            p.sender.post("/v1/chat/completions", chat(3, kv_transfer_params={"disagg_spec": nowhere}))
        )
        await settled(lambda: _running(p.sender, 1))
        second = asyncio.create_task(p.prefill(chat(3)))
        done, _ = await asyncio.wait({first, second}, timeout=0.3)
        assert not done
        assert await p.sender.health() == 200
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)


async def _waiting(engine: Sim, count: int) -> bool:
    return bool((await engine.state())["waiting"] == count)


async def _running(engine: Sim, count: int) -> bool:
    return bool((await engine.state())["running"] == count)


async def test_several_ranks_that_wait_too_long_kill_the_engine_and_one_rank_waits_for_ever() -> None:
    limit = {"VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "20"}
    for ranks, health in ((2, 503), (1, 200)):
        async with pair(ranks=ranks, env=limit) as p:
            nowhere = p.spec(receiver_init_port=[1] * ranks, receiver_alloc_port=[2] * ranks)
            ask = asyncio.create_task(
                p.sender.post("/v1/chat/completions", chat(3, kv_transfer_params={"disagg_spec": nowhere}))
            )
            await asyncio.wait({ask}, timeout=0.5)
            assert (await p.sender.health()) == health
            ask.cancel()
            await asyncio.gather(ask, return_exceptions=True)


async def test_an_abort_before_the_first_token_with_ret_first_tok_kills_the_sender() -> None:
    async with pair() as p:
        await p.sender.post("/sim/hang", {})
        params = {"ret_first_tok": False, "disagg_spec": p.spec()}
        with contextlib.suppress(httpx.TimeoutException):
            await p.sender.post("/v1/chat/completions", chat(3, kv_transfer_params=params), timeout=0.2)
        await p.sender.post("/sim/resume", {})
        await settled(lambda: _dead(p.sender))
        assert p.sender.grep("IndexError")


async def _dead(engine: Sim) -> bool:
    return (await engine.health()) == 503


async def test_an_abort_before_the_first_token_without_ret_first_tok_does_no_harm() -> None:
    async with pair() as p:
        await p.sender.post("/sim/hang", {})
        with contextlib.suppress(httpx.TimeoutException):
            await p.sender.post(
                "/v1/chat/completions", chat(3, kv_transfer_params={"disagg_spec": p.spec()}), timeout=0.2
            )
        await p.sender.post("/sim/resume", {})
        await settled(lambda: _waiting(p.sender, 0))
        await p.prefill(chat(3, salt="next"))


async def test_a_client_that_leaves_in_the_middle_of_a_chunked_prefill_leaves_pages_behind() -> None:
    async with pair(sender_args=["--max-num-batched-tokens", "512"], env={"DPD_SIM_TIME_PREFILL_TOKEN": "0.1"}) as p:
        ask = asyncio.create_task(
            p.sender.post("/v1/chat/completions", chat(200, kv_transfer_params={"disagg_spec": p.spec()}))
        )
        await settled(lambda: _some_used(p))
        ask.cancel()
        await asyncio.gather(ask, return_exceptions=True)
        await settled(lambda: _running(p.sender, 0))
        left = await p.receiver.used()
        assert 0 < left[0] < 8, "the chunks of the first steps, not of the whole prompt"
        assert await p.silent(), "no notice for a prefill that did not end"


async def _some_used(p: Pair) -> bool:
    return (await p.receiver.used())[0] > 0


async def test_a_load_that_fails_is_computed_again_under_recompute() -> None:
    async with pair() as p:
        body = chat(100)
        expected = await p.receiver.text(body)
        await p.prefill(body)
        await p.receiver.post("/sim/fail-loads", {"count": 1})
        assert await p.decode(body) == expected
        assert await p.receiver.health() == 200


async def test_a_load_that_fails_breaks_the_decoder_for_good_under_fail() -> None:
    async with pair(policy="fail") as p:
        body = chat(100)
        await p.prefill(body)
        await p.receiver.post("/sim/fail-loads", {"count": 1})
        assert (
            await p.receiver.post("/v1/chat/completions", {**body, "kv_transfer_params": tagged("a")})
        ).status_code == 500
        assert (await p.receiver.post("/v1/chat/completions", chat(1))).status_code == 500
        assert await p.receiver.health() == 503


async def test_a_router_that_reads_no_notices_stops_the_sender_after_a_thousand() -> None:
    context = zmq.asyncio.Context()

    async def pause(seconds: float) -> None:
        raise AssertionError("nothing is sent")

    sender = SenderRank(context, 0, f"tcp://127.0.0.1:{free_port()}", pause)
    for turn in range(1000):
        await asyncio.wait_for(sender.notify(str(turn)), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sender.notify("one more"), 0.2)
    sender.close()
    context.term()
