import asyncio

import pytest

from router.hazards.world import LMCACHE, NIXL, World, answer_of, long, short, world

BOTH = pytest.mark.parametrize("connector", [LMCACHE, NIXL])


async def right(w: World, body: dict, expected: str) -> None:
    answer = await w.post(body)
    assert (answer.status, answer.whole, answer.text) == (200, True, expected)


def once(w: World) -> bool:
    """Whether no decoder was asked for the same thing twice."""
    return all(count == 1 for each in w.decoders for life in each.lives for count in life.submitted.values())


@BOTH
async def test_whatever_a_prefiller_answers_the_client_gets_its_own_answer(connector: str) -> None:
    async with world(connector) as w:
        for status in (400, 404, 408, 429, 500, 503):
            body = long(f"refused {status}")
            expected = await answer_of(w.decoders[0], body)
            await w.prefillers[0].ask("/sim/errors", {"count": 1, "status": status})
            await right(w, body, expected)
            await w.quiet()
            assert once(w)
        await w.serves()


@BOTH
async def test_what_a_decoder_refuses_after_the_transfer_is_refused_once_and_leaves_nothing(connector: str) -> None:
    async with world(connector) as w:
        for number, status in enumerate((400, 429, 500, 503), 1):
            await w.decoders[0].ask("/sim/errors", {"count": 1, "status": status})
            answer = await w.post(long(f"declined {status}"))
            assert (answer.status, answer.whole) == (status, True)
            await w.quiet()
            came = w.decoders[0].seen.with_kv
            assert (len(came), all("-drain-" in each for each in came)) == (number, True), "only drains came through"
            assert once(w)
        await w.serves()


async def test_a_drain_that_is_turned_away_is_sent_again_until_its_pages_are_read() -> None:
    async with world() as w:
        await w.decoders[0].ask("/sim/errors", {"count": 3, "status": 503})
        assert (await w.post(long("again"))).status == 503
        await w.quiet()
        await w.serves()


@BOTH
async def test_a_prefiller_that_fails_has_another_try_under_a_tag_of_its_own(connector: str) -> None:
    async with world(connector, prefillers=2) as w:
        body = long("other")
        expected = await answer_of(w.decoders[0], body)
        for each in w.prefillers[:1]:
            await each.ask("/sim/errors", {"count": 9, "status": 500})
        for _ in range(2):
            await right(w, body, expected)
        await w.quiet()
        assert len(w.lines("route=disaggregated")) == 2
        assert len({line.partition("tag=")[2].split()[0] for line in w.lines("request to decoder")}) == 1
        assert once(w)


@BOTH
async def test_a_prefiller_killed_mid_prefill_costs_no_answer(connector: str) -> None:
    async with world(connector) as w:
        body = long("killed")
        expected = await answer_of(w.decoders[0], body)
        await w.prefillers[0].ask("/sim/delay", {"step": 60})
        asked = asyncio.create_task(right(w, body, expected))
        await w.until(lambda: w.prefillers[0].engine.requests)
        await w.prefillers[0].kill()
        await asked
        await w.prefillers[0].start()
        await w.healthy()
        await w.quiet()
        await w.serves()


@BOTH
async def test_a_decoder_killed_mid_stream_is_told_as_an_error_and_the_prompt_is_not_decoded_again(
    connector: str,
) -> None:
    async with world(connector, decoders=2) as w:
        async with w.client(long("cut", stream=True, max_tokens=4000, ignore_eos=True)) as (reader, _):
            await reader.readuntil(b"data: ")
            (busy,) = [each for each in w.decoders if each.engine.requests]
            await busy.kill()
            rest = await reader.read()
        assert b"upstream_died" in rest
        assert b"[DONE]" not in rest
        await busy.start()
        await _fresh_prefillers(w)
        await w.quiet()
        assert once(w)
        await w.serves()


@BOTH
async def test_a_decoder_restarted_at_its_address_serves_again(connector: str) -> None:
    async with world(connector) as w:
        await w.serves()
        await w.decoders[0].restart()
        await w.healthy()
        body = long("after")
        # An LMCache prefiller that knew the old one dies of its first write to the new one: the decoder computes.
        await right(w, body, await answer_of(w.decoders[0], body))
        await _fresh_prefillers(w)
        await w.quiet()
        await w.serves()


async def _fresh_prefillers(w: World) -> None:
    """What an orchestrator does with prefillers that a decoder's death took along."""
    for each in w.prefillers:
        if w.connector == LMCACHE:
            await each.restart()
    await w.healthy()


@BOTH
async def test_kv_that_could_not_be_loaded_is_computed_and_the_answer_is_the_same(connector: str) -> None:
    async with world(connector) as w:
        body = long("load")
        expected = await answer_of(w.decoders[0], body)
        await w.decoders[0].ask("/sim/fail-loads", {"count": 1})
        await right(w, body, expected)
        await w.quiet()
        await w.serves()


async def test_notices_that_go_elsewhere_are_missed_once_and_then_not_waited_for() -> None:
    async with world(transfer={"notify": {"host": "127.0.0.1", "port": 0}}) as w:
        (prefiller,) = [each for each in w.up.router.pool.all() if each.address.role == "prefill"]
        for number in range(2):
            body = long(f"silent {number}")
            await right(w, body, await answer_of(w.decoders[0], body))
            assert prefiller.silent
        assert len(w.lines("transfer: confirmed=False")) == 2
        await w.quiet()


async def test_a_router_that_is_told_of_no_notices_waits_for_none() -> None:
    async with world(transfer={"confirm": False}) as w:
        await w.serves()
        assert w.lines("transfer: confirmed=None")


@BOTH
async def test_a_router_stopped_with_transfers_in_flight_sees_them_through(connector: str) -> None:
    async with world(connector) as w:
        body = long("stopped")
        expected = await answer_of(w.decoders[0], body)
        await w.prefillers[0].ask("/sim/delay", {"count": 2, "seconds": 0.4})
        asked = asyncio.create_task(right(w, body, expected))
        async with w.client(long("left")):
            await w.saw("prefill selection", 2)
        w.up.stop.set()
        await w.up.task
        await asked
        assert "requests_cut=0 transfers_left=0" in w.up.lines[-1]
        assert not w.decoders[0].pages
        assert not any(each.seen.aborted for each in w.prefillers)
        await w.until(lambda: not w.prefillers[0].leased or connector == LMCACHE)


@BOTH
async def test_the_same_prompt_many_times_at_once_is_decoded_once_for_each(connector: str) -> None:
    async with world(connector, decoders=2) as w:
        body = long("same")
        expected = await answer_of(w.decoders[0], body)
        await asyncio.gather(*(right(w, body, expected) for _ in range(8)))
        await w.quiet()
        assert once(w)


async def test_short_prompts_pass_while_prefillers_are_gone() -> None:
    async with world() as w:
        await w.prefillers[0].kill()
        for body in (short("a"), long("b")):
            await right(w, body, await answer_of(w.decoders[0], body))
        await w.prefillers[0].start()
        await w.healthy()
        await w.serves()
