import asyncio

from router.rig import OK, STREAM, chunk, engine, get, long, request, router, short, statuses

EVENT = b"data: {}\n\n"


async def connect(up):
    return await asyncio.open_connection("127.0.0.1", up.port)


async def part(writer):
    writer.close()
    await writer.wait_closed()


async def test_a_stream_that_is_under_way_is_finished_and_its_connection_closed():
    go_on = asyncio.Event()

    async def stream(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await go_on.wait()
        writer.write(b"0\r\n\r\n")

    async with engine(stream) as decoder, router(decode=[decoder]) as up:
        reader, writer = await connect(up)
        writer.write(request(short()))
        await reader.readuntil(EVENT)
        up.stop.set()
        await asyncio.sleep(0.02)
        assert not up.task.done()
        go_on.set()
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        await part(writer)
        await up.task
        assert up.lines[-1] == "[INFO] router stopped: requests_cut=0 transfers_left=0"


async def test_idle_connections_are_closed_and_new_ones_are_not_taken():
    async with engine() as decoder, router(decode=[decoder]) as up:
        reader, writer = await connect(up)
        writer.write(get("/ping", b""))
        await reader.readuntil(b"\r\n\r\n")
        up.stop.set()
        await up.task
        await reader.read()
        assert reader.at_eof()
        await part(writer)
        try:
            await connect(up)
        except ConnectionRefusedError:
            return
        raise AssertionError("somebody still listens")


async def test_on_its_way_out_the_router_says_that_it_is_unwell():
    go_on = asyncio.Event()

    async def slow(seen, reader, writer):
        await go_on.wait()
        writer.write(OK)

    async with engine(slow) as decoder, router(decode=[decoder]) as up:
        reader, writer = await connect(up)
        writer.write(request(short()) + get("/health"))
        await up.until(lambda: decoder.seen)
        up.stop.set()
        await asyncio.sleep(0.02)
        go_on.set()
        answer = await reader.read()
        assert statuses(answer) == [200]
        assert b"connection: close" in answer, "what was sent ahead is left to another router"
        await part(writer)


async def test_what_does_not_end_within_the_grace_is_cut():
    async def forever(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await asyncio.sleep(60)

    async with engine(forever) as decoder, router(decode=[decoder], timeouts={"graceSeconds": 0.05}) as up:
        reader, writer = await connect(up)
        writer.write(request(short()))
        await reader.readuntil(EVENT)
        up.stop.set()
        await up.task
        assert not (await reader.read()).endswith(b"0\r\n\r\n")
        await part(writer)
        assert up.lines[-1] == "[INFO] router stopped: requests_cut=1 transfers_left=0"


async def test_a_transfer_whose_client_has_left_is_drained_before_the_end():
    go_on = asyncio.Event()

    async def slow(seen, reader, writer):
        await go_on.wait()
        writer.write(OK)

    async with engine(slow) as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        _, writer = await connect(up)
        writer.write(request(long()))
        await up.until(lambda: prefiller.seen)
        await part(writer)
        up.stop.set()
        await asyncio.sleep(0.02)
        go_on.set()
        await up.task
        assert [seen.json["max_tokens"] for seen in decoder.seen] == [1]


async def test_nothing_is_left_when_the_router_has_ended():
    before = asyncio.all_tasks()
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        for body in (short(), long()):
            await up.post(body)
        up.stop.set()
        await up.task
        assert len(up.router.background) == 0
        assert up.router.doors.inside == set()
        await up.until(lambda: not up.router.connections.count())
    await up.until(lambda: asyncio.all_tasks() == before)
