"""What one client may take of the router: time for a head, for a request, for reading; and room for its connection."""

import asyncio
import contextlib

from router.rig import STREAM, chunk, engine, get, request, router, short, statuses


async def drip(up, data: bytes, seconds: float) -> bytes:
    """Send a byte now and then until the router has heard enough; return its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for byte in data * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(seconds)

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(20):
            return await reader.readuntil(b"}}")
    finally:
        sending.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for():
    async with engine() as decoder, router(decode=[decoder], timeouts={"headSeconds": 0.2}) as up:
        assert statuses(await drip(up, b"GET /ping HTTP/1.1\r\nx: " + b"a" * 1000, 0.05)) == [408]


async def test_a_body_that_comes_byte_by_byte_is_not_waited_for():
    async with engine() as decoder, router(decode=[decoder], timeouts={"requestSeconds": 0.2}) as up:
        head = b"POST /v1/completions HTTP/1.1\r\nhost: r\r\ncontent-length: 1000\r\n\r\n"
        assert statuses(await drip(up, head, 0.01)) == [408]
        assert decoder.seen == []


async def test_a_body_may_take_longer_than_a_head():
    async with engine() as decoder, router(decode=[decoder], timeouts={"headSeconds": 0.05}) as up:
        data = request(short())
        head = data.index(b"\r\n\r\n") + 4
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(data[:head])
        await up.until(lambda: any(each._reader.busy for each in up.router.doors.inside))
        (connection,) = up.router.doors.inside
        connection.expire(asyncio.get_running_loop().time() + 1)
        writer.write(data[head:])
        assert (await reader.readuntil(b"\r\n\r\n{}")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_does_not_read_its_answer_is_let_go_and_so_is_its_engine():
    async def endless(seen, reader, writer):
        writer.write(STREAM)
        while not writer.is_closing():
            writer.write(chunk(b"x" * 65536))
            await writer.drain()

    async with engine(endless) as decoder, router(decode=[decoder], timeouts={"stalledSeconds": 0.1}) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port, limit=1024)
        writer.write(request(short(stream=True)))
        await reader.readexactly(1)
        await up.until(lambda: any(each.choked for each in up.router.doors.inside))
        await up.until(lambda: not up.router.doors.inside and decoder.left == 1, seconds=20)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_one_connection_too_many_is_told_to_come_again():
    async with engine() as decoder, router(decode=[decoder], limits={"connections": 1}) as up:
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        await up.until(lambda: len(up.router.doors.inside) == 1)
        answer = await up.raw(get("/ping"))
        assert statuses(answer) == [503]
        assert b"retry-after: 1\r\n" in answer
        assert b'"code":"too_many_connections"' in answer
        writer.close()
        await writer.wait_closed()
        await up.until(lambda: not up.router.doors.inside)
        assert statuses(await up.raw(get("/ping"))) == [200]


async def test_metrics_have_a_port_of_their_own_that_serves_nothing_else(tmp_path):
    (tmp_path / "team").write_text("k")
    sections = {"metrics": {"host": "127.0.0.1", "port": 0}, "auth": {"keysDirectory": str(tmp_path)}}
    async with engine() as decoder, router(decode=[decoder], **sections) as up:
        assert statuses(await up.raw(get("/metrics"))) == [404]
        port = up.router.front.metrics_port
        assert b"dpd_router_worker_up" in await up.raw(get("/metrics"), port=port)
        assert statuses(await up.raw(get("/health"), port=port)) == [200]
        for path in ("/v1/models", "/openapi.json", "/ping"):
            assert statuses(await up.raw(get(path), port=port)) == [404]
        assert statuses(await up.raw(request(short(), headers=b"connection: close\r\n"), port=port)) == [404]
        assert decoder.seen == []
