import asyncio

import pytest

from router.hazards.world import LMCACHE, NIXL, World, long, world

BOTH = pytest.mark.parametrize("connector", [LMCACHE, NIXL])
SLOW = {"DPD_SIM_TIME_TRANSFER_BYTES_PER_SECOND": "2000"}  # a page takes a sixth of a second


async def gone(w: World, how: str = "") -> None:
    """The request whose client left has ended, nothing is left of it, and the next one is served."""
    await w.saw(f"end={how}" if how else "access ")
    await w.quiet()
    assert not any(each.seen.aborted for each in w.prefillers), "a prefill was broken off"
    await w.serves()


async def test_a_client_that_leaves_while_it_waits_for_room() -> None:
    async with world(pages=10) as w:
        await w.prefillers[0].ask("/sim/delay", {"count": 1, "seconds": 0.4})
        async with w.client(long("first")):
            await w.saw("prefill selection")
            async with w.client(long("second")):
                await w.until(lambda: any(each.ledger.waiting for each in w.up.router.pool.all()))
        await w.saw("access ", 2)
        assert len(w.lines("prefill selection")) == 1, "no prefill is begun for who has left"
        await gone(w)


@BOTH
async def test_a_client_that_leaves_during_prefill(connector: str) -> None:
    async with world(connector) as w:
        await w.prefillers[0].ask("/sim/delay", {"count": 1, "seconds": 0.3})
        async with w.client(long("prefill")):
            await w.saw("prefill selection")
        await gone(w, "drained")


async def test_a_client_that_leaves_while_pages_are_written() -> None:
    async with world(env=SLOW) as w:
        async with w.client(long("pages")):
            await w.until(lambda: w.decoders[0].pages)
        await gone(w, "drained")


async def test_a_client_that_leaves_while_blocks_are_fetched() -> None:
    async with world(NIXL, env=SLOW) as w:
        async with w.client(long("blocks")):
            await w.until(lambda: w.decoders[0].engine.requests)
            assert w.prefillers[0].leased
        await gone(w, "client_left")


@BOTH
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_leaves_before_the_first_token(connector: str, stream: bool) -> None:
    async with world(connector) as w:
        await w.decoders[0].ask("/sim/hang", {})
        async with w.client(long("token", stream=stream)):
            await w.saw("request to decoder")
            await w.until(lambda: w.decoders[0].engine.requests)
        await asyncio.sleep(0.05)
        await w.decoders[0].ask("/sim/resume", {})
        await gone(w, "client_left")


@BOTH
async def test_a_client_that_leaves_mid_stream(connector: str) -> None:
    async with world(connector) as w:
        async with w.client(long("stream", stream=True, max_tokens=2000, ignore_eos=True)) as (reader, _):
            await reader.readuntil(b"data: ")
        await w.until(lambda: w.decoders[0].seen.aborted)
        await gone(w, "client_left")
