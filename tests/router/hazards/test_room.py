import asyncio
import json

import pytest

from router.hazards.world import Engine, World, answer_of, long, world
from simulator.engines import PAGE, Ports

PAGES = 24


def spins(decoder: Engine) -> int:
    """How often a decoder looked for a page and there was none: each time all of its senders stand still."""
    assert decoder.sim is not None
    return sum(each.full_spins for each in decoder.sim.running.parts.receivers)


async def crowd(w: World, count: int) -> None:
    bodies = [long(f"crowd {number}", 30 + number) for number in range(count)]
    expected = [await answer_of(w.decoders[0], body) for body in bodies]
    answers = await asyncio.gather(*(w.post(body) for body in bodies))
    assert [each.text for each in answers] == expected


async def test_more_prompts_than_a_buffer_holds_wait_their_turn_and_never_fill_it() -> None:
    async with world(pages=PAGES, transfer={"roomSeconds": 20}) as w:
        await crowd(w, 16)
        assert len(w.lines("route=disaggregated")) == 16
        assert spins(w.decoders[0]) == 0
        await w.quiet()


async def test_who_waits_too_long_or_finds_too_many_waiting_is_served_by_the_decoder_alone() -> None:
    async with world(pages=PAGES, transfer={"roomSeconds": 0.05, "roomQueue": 1}) as w:
        await w.decoders[0].ask("/sim/delay", {"step": 2})
        await crowd(w, 8)
        assert w.lines("fallback: reason=buffer_full")
        assert spins(w.decoders[0]) == 0
        await w.decoders[0].ask("/sim/delay", {"step": 0})
        await w.serves()


async def test_a_prompt_that_can_never_fit_goes_direct_and_takes_no_page() -> None:
    async with world(pages=4) as w:
        body = long("huge", 140)
        answer = await w.post(body)
        assert answer.text == await answer_of(w.decoders[0], body)
        await w.saw("route=direct reason=never_fits")
        assert not w.prefillers[0].seen.submitted
        await w.serves(long("fits", 12))


async def test_a_prompt_with_too_many_bytes_to_be_sure_is_counted_by_an_engine_and_disaggregated() -> None:
    async with world(pages=4) as w:
        body = long("counted", 30)
        assert len(json.dumps(body)) > 4 * 256
        await w.serves(body)
        assert w.lines("route=disaggregated reason=threshold")


async def test_the_pages_of_a_buffer_are_learned_from_the_first_transfers() -> None:
    room = {"bufferBytes": PAGES * PAGE + 1, "usageSeconds": 0.05, "roomSeconds": 20}
    async with world(pages=PAGES, known=False, transfer=room) as w:
        await w.decoders[0].ask("/sim/hang", {})
        first = asyncio.create_task(w.post(long("first")))
        second = asyncio.create_task(w.post(long("second")))
        await w.saw("prefill selection")
        await w.saw(f"has {PAGES} pages")
        await w.saw("prefill selection", 2)
        await w.decoders[0].ask("/sim/resume", {})
        assert (await first).status == (await second).status == 200
        assert [each.ledger.capacity for each in w.up.router.pool.all() if each.address.init_ports] == [PAGES]
        await crowd(w, 12)
        assert spins(w.decoders[0]) == 0
        await w.quiet()


@pytest.fixture
def spec():
    """What names a decoder's buffer to a prefiller, with no router that will remember it."""

    def made(ports: Ports) -> dict:
        where = {"receiver_host": "127.0.0.1", "receiver_init_port": ports.init, "receiver_alloc_port": ports.alloc}
        return {"req_id": "nobody's", **where}

    return made


async def test_pages_that_a_router_took_into_its_grave_are_alarmed_and_left_out_until_they_are_read(spec) -> None:
    watch = {"usageSeconds": 0.05, "driftSeconds": 0.3}
    async with world(pages=PAGES, transfer=watch) as w:
        tag = {"lmcache.tag.p": "a router that was killed"}
        lost = {**long("lost"), "max_tokens": 1}
        params = {"disagg_spec": spec(w.decoders[0].ports), **tag}
        await w.prefillers[0].ask("/v1/chat/completions", {**lost, "kv_transfer_params": params})
        held = w.decoders[0].pages
        (ledger,) = [each.ledger for each in w.up.router.pool.all() if each.address.init_ports]
        await w.until(lambda: ledger.capacity == PAGES - held)
        assert w.lines(f"[WARNING] buffer drift: {held} pages of 127.0.0.1:{w.decoders[0].port} are taken")
        await crowd(w, 6)
        assert (spins(w.decoders[0]), w.decoders[0].pages) == (0, held)
        await w.decoders[0].ask("/v1/chat/completions", {**lost, "kv_transfer_params": tag})
        await w.until(lambda: ledger.capacity == PAGES)
        await w.serves()
