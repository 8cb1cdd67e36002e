import asyncio
from typing import Any

import pytest

from simulator.engines import (
    Pair,
    Ports,
    Sim,
    chat,
    pair,
    puller,
    receiver_document,
    sender_document,
    settled,
    sim,
    tagged,
    transfer_flag,
)


async def test_a_transfer_moves_every_page_and_the_answer_is_that_of_one_engine() -> None:
    async with pair() as p:
        body = chat(100)
        expected = await p.receiver.text(body)
        await p.prefill(body)
        assert await p.receiver.used() == [5, 5], "1,035 tokens are five pages on each rank"
        assert await p.decode(body) == expected
        assert await p.receiver.used() == [0, 0]
        external = await p.receiver.metric(
            'vllm:prompt_tokens_by_source_total{model_name="m",engine="0",source="external'
        )
        assert external == 1034, "all but the last token came by transfer"


@pytest.mark.parametrize(("tag", "used"), [("b", [5, 5]), (None, [5, 5]), ("a", [0, 0])])
async def test_only_a_decode_with_the_same_tag_takes_the_pages(tag: str | None, used: list[int]) -> None:
    async with pair() as p:
        body = chat(100)
        await p.prefill(body, tag="a")
        await p.decode(body, tag)
        assert await p.receiver.used() == used


async def test_unread_pages_stay_for_good_and_a_full_buffer_stops_the_sender_while_both_look_healthy() -> None:
    async with pair(pages=12) as p:
        bodies = [chat(100, salt=f"n{i}") for i in range(3)]
        await p.prefill(bodies[0])
        await p.prefill(bodies[1])
        stuck = asyncio.create_task(p.prefill(bodies[2]))
        await settled(lambda: _full(p, 12))
        later = asyncio.create_task(p.prefill(chat(1, salt="later")))
        done, _ = await asyncio.wait({stuck, later}, timeout=0.3)
        assert not done, "a short prefill waits behind the one that found the buffer full"
        assert (await p.sender.health(), await p.receiver.health()) == (200, 200)
        assert await p.receiver.text(chat(2)), "requests straight to the decoder are still served"
        assert len(p.receiver.grep("Failed to allocate memory object, retrying...")) > 5
        for task in (stuck, later):
            task.cancel()
        await asyncio.gather(stuck, later, return_exceptions=True)


async def _full(p: Pair, pages: int) -> bool:
    return (await p.receiver.used())[0] == pages and (await p.receiver.state())["pages"][0]["spins"] > 0


async def test_draining_abandoned_prompts_lets_a_stopped_sender_go_on() -> None:
    async with pair(pages=12) as p:
        bodies = [chat(100, salt=f"n{i}") for i in range(3)]
        for body in bodies[:2]:
            await p.prefill(body)
        stuck = asyncio.create_task(p.prefill(bodies[2]))
        await settled(lambda: _full(p, 12))
        await p.decode({**bodies[0], "max_tokens": 1})
        await stuck
        for body in bodies[1:]:
            await p.decode({**body, "max_tokens": 1})
        assert await p.receiver.used() == [0, 0]


async def test_a_decode_that_comes_before_the_data_reads_garbage_and_says_something_else() -> None:
    async with pair(env={"DPD_SIM_TIME_TRANSFER_BYTES_PER_SECOND": "5000"}) as p:
        body = chat(100)
        expected = await p.receiver.text(body)
        prefill = asyncio.create_task(p.prefill(body))
        await settled(lambda: _indexed(p, 5))
        assert await p.decode(body) != expected
        assert await p.receiver.metric("dpd_sim:garbage_reads_total") > 0
        await prefill


async def _indexed(p: Pair, pages: int) -> bool:
    return all(rank["indexed"] == pages for rank in (await p.receiver.state())["pages"])


async def test_two_decodes_of_one_transfer_in_the_same_step_kill_the_decoder() -> None:
    async with pair() as p:
        body = chat(100)
        await p.prefill(body)
        await p.receiver.post("/sim/hang", {})
        asks = [
            asyncio.create_task(p.receiver.post("/v1/chat/completions", {**body, "kv_transfer_params": tagged("a")}))
            for _ in range(2)
        ]
        await settled(lambda: _waiting(p.receiver, 2))
        await p.receiver.post("/sim/resume", {})
        assert [(await ask).status_code for ask in asks] == [500, 500]
        assert await p.receiver.health() == 503


async def _waiting(engine: Sim, count: int) -> bool:
    return bool((await engine.state())["waiting"] == count)


async def test_two_decodes_of_one_transfer_in_different_steps_are_both_right() -> None:
    async with pair() as p:
        body = chat(100)
        expected = await p.receiver.text(body)
        await p.prefill(body)
        assert await p.decode(body) == expected
        assert await p.decode(body) == expected


async def test_a_sender_given_a_request_without_a_transfer_dies() -> None:
    async with pair() as p:
        response = await p.sender.post("/v1/chat/completions", chat(3))
        assert response.status_code == 500
        assert response.json()["error"]["type"] == "InternalServerError"
        assert await p.sender.health() == 503
        assert (await p.sender.post("/v1/chat/completions", chat(3))).status_code == 500
        assert p.sender.grep("fatal error: TransferError: disagg_spec None")


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver_init_port": [1]},
        {"receiver_alloc_port": [1]},
        {"receiver_init_port": 7300},
        {"receiver_host": None, "req_id": None, "receiver_alloc_port": None},
    ],
    ids=["too few init ports", "too few alloc ports", "a port that is no list", "no alloc ports"],
)
async def test_a_transfer_that_does_not_name_a_port_for_each_rank_kills_the_sender(changes: dict[str, Any]) -> None:
    async with pair() as p:
        params = {"disagg_spec": {**p.spec(), **changes}}
        assert (await p.sender.post("/v1/chat/completions", chat(3, kv_transfer_params=params))).status_code == 500
        assert await p.sender.health() == 503


async def test_a_prefill_sent_twice_under_one_tag_takes_two_decodes_to_free() -> None:
    async with pair() as p:
        body = chat(100)
        await p.prefill(body)
        await p.prefill(body)
        await p.decode(body)
        assert await p.receiver.used() == [5, 5], "leaked, unless somebody decodes it once more"
        await p.decode(body)
        assert await p.receiver.used() == [0, 0]


async def test_two_transfers_that_share_a_prefix_and_a_tag_both_find_it_and_leave_nothing() -> None:
    async with pair() as p:
        bodies = [chat(100), chat(90)]
        for tags in (["one", "two"], ["same", "same"]):
            for body, tag in zip(bodies, tags, strict=True):
                await p.prefill(body, tag)
            for body, tag in zip(bodies, tags, strict=True):
                await p.decode(body, tag)
            assert await p.receiver.used() == [0] * 2


async def test_prefix_caching_on_the_decoder_leaks_the_chunks_it_already_has() -> None:
    async with pair(receiver_args=["--enable-prefix-caching"]) as p:
        body = chat(100)
        await p.decode(body, tag=None)
        await p.prefill(body)
        await p.decode(body)
        assert await p.receiver.used() == [4, 4], "all but the chunk it had only a part of"


async def test_mixing_the_two_ways_to_decode_leaks_the_last_page() -> None:
    async with pair(skip_last=1) as p:
        body = chat(100)
        await p.prefill(body)
        await p.decode(body)
        assert await p.receiver.used() == [1, 1]


async def test_the_other_way_to_decode_appends_the_first_token_to_the_tokens() -> None:
    async with pair(skip_last=1) as p:
        body = chat(100, max_tokens=12, return_token_ids=True)
        whole = await p.receiver.answer(body)
        tokens, output = whole["choices"][0]["prompt_token_ids"], whole["choices"][0]["token_ids"]
        reply = await p.prefill(body, ret_first_tok=True)
        first = reply["kv_transfer_params"]["first_tok"]
        rest = {"model": "m", "prompt": [*tokens, first], "max_tokens": 11, "temperature": 0, "return_token_ids": True}
        answer = await p.receiver.answer({**rest, "kv_transfer_params": tagged("a")}, "/v1/completions")
        assert [first, *answer["choices"][0]["token_ids"]] == output
        assert await p.receiver.used() == [0, 0]


async def test_a_receiver_that_came_back_on_its_ports_kills_the_sender_that_knew_the_old_one() -> None:
    ports = Ports.pick(1)
    consumer, producer = transfer_flag("kv_consumer"), transfer_flag("kv_producer")
    spec = {
        "req_id": "r",
        "receiver_host": "127.0.0.1",
        "receiver_init_port": ports.init,
        "receiver_alloc_port": ports.alloc,
    }
    with puller(ports.notify):
        async with sim(*producer, document=sender_document(ports)) as sender:
            async with sim(*consumer, document=receiver_document(ports)):
                assert (
                    await sender.post("/v1/chat/completions", chat(3, kv_transfer_params={"disagg_spec": spec}))
                ).status_code == 200
            async with sim(*consumer, document=receiver_document(ports)):
                again = await sender.post("/v1/chat/completions", chat(4, kv_transfer_params={"disagg_spec": spec}))
                assert again.status_code == 500
                assert sender.grep("stale peer")
                assert await sender.health() == 503


async def test_a_model_path_with_an_at_sign_ends_the_receivers_alloc_loop() -> None:
    async with pair(sender_args=["--served-model-name", "m", "--model", "m@1"]) as p:
        ask = asyncio.create_task(
            p.sender.post("/v1/chat/completions", chat(3, kv_transfer_params={"disagg_spec": p.spec()}))
        )
        await settled(lambda: _logged(p.receiver, "alloc loop ended"))
        done, _ = await asyncio.wait({ask}, timeout=0.2)
        assert not done
        ask.cancel()
        await asyncio.gather(ask, return_exceptions=True)


async def _logged(engine: Sim, word: str) -> bool:
    return bool(engine.grep(word))


async def test_a_sender_buffer_too_small_for_a_prompt_stores_its_head_only() -> None:
    async with pair(sender={"pd_buffer_size": 3 * 65536}) as p:
        await p.prefill(chat(100))
        assert await p.receiver.used() == [3, 3]


async def test_a_sender_without_any_page_stores_nothing_and_never_tells() -> None:
    async with pair(sender={"pd_buffer_size": 65535}) as p:
        await p.prefill(chat(100), notices=0)
        assert await p.silent()
        assert await p.receiver.used() == [0, 0]


async def test_a_producer_asked_for_more_than_one_token_tells_more_than_once() -> None:
    async with pair() as p:
        params = {"disagg_spec": p.spec("r")}
        await p.sender.answer({**chat(3), "max_tokens": 3, "kv_transfer_params": params})
        assert [await p.notice() for _ in range(6)] == ["r"] * 6


@pytest.mark.parametrize("algorithm", ["sha256", "sha256_cbor"])
async def test_another_hash_algorithm_finds_nothing(algorithm: str) -> None:
    async with pair(
        sender={"pre_caching_hash_algorithm": algorithm}, receiver={"pre_caching_hash_algorithm": algorithm}
    ) as p:
        body = chat(100)
        await p.prefill(body)
        await p.decode(body)
        assert await p.receiver.used() == [5, 5]


async def test_processes_without_a_common_hash_seed_find_nothing() -> None:
    async with pair(env={"PYTHONHASHSEED": "random"}) as p:
        body = chat(100)
        await p.prefill(body)
        await p.decode(body)
        assert await p.receiver.used() == [5, 5]


async def test_a_senders_copies_get_wrong_names_and_later_answers_are_wrong() -> None:
    async with pair(
        sender={"local_cpu": True, "max_local_cpu_size": 1}, sender_args=["--no-enable-prefix-caching"]
    ) as p:
        await p.prefill(chat(30))
        await p.decode(chat(30))
        long = chat(160)
        for _ in range(2):
            await p.prefill(long)
            await p.decode(long)
        assert await p.receiver.metric("dpd_sim:garbage_reads_total") > 0
