import asyncio

from router.rig import answers_when, engine, request, router, short, statuses

LIMITS = {"bodyBytes": 1024, "heldBytes": 1500}


def of(size):
    """Return a body of so many bytes, within a few."""
    return short(pad="x" * (size - 80))


async def test_bodies_of_all_requests_together_have_a_limit_and_who_is_beyond_it_may_come_back():
    go_on = asyncio.Event()

    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder], limits=LIMITS) as up:
        first = asyncio.create_task(up.post(of(1000)))
        await up.until(lambda: decoder.seen)
        held = up.router.doors.held
        assert 900 < held.now < 1024
        refused = await up.post(of(900))
        assert statuses(refused) == [503]
        assert b"retry-after: 1" in refused
        assert b"too_many_bytes" in refused
        small = asyncio.create_task(up.post(of(200)))
        await up.until(lambda: len(decoder.seen) == 2)
        go_on.set()
        assert [statuses(await each) for each in (first, small)] == [[200], [200]]
        assert (held.now, held.refused) == (0, 1)
        assert statuses(await up.post(of(1000))) == [200]


async def test_what_does_not_come_whole_is_let_go_of():
    async with engine() as decoder, router(decode=[decoder], limits=LIMITS, timeouts={"requestSeconds": 0.2}) as up:
        held = up.router.doors.held
        half = request(of(1000))[:-200]
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(half)
        await up.until(lambda: held.now)
        writer.close()
        await writer.wait_closed()
        await up.until(lambda: not held.now)
        assert statuses(await up.raw(half)) == [408]
        assert held.now == 0


async def test_pipelined_requests_whose_client_leaves_are_let_go_of():
    gone = asyncio.Event()

    async def never(seen, reader, writer):
        await gone.wait()

    async with engine(never) as decoder, router(decode=[decoder], limits=LIMITS) as up:
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(of(500)) + request(of(500)))
        await up.until(lambda: decoder.seen)
        writer.close()
        await writer.wait_closed()
        await up.until(lambda: not up.router.doors.held.now)
        gone.set()
