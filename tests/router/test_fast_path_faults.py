"""What may go wrong on the way of plain requests, and whom it must not reach."""

import asyncio
import contextlib
import socket

import pytest

from dpd_router.chooser import Chooser
from dpd_router.wire import legs
from router.rig import OK, engine, get, request, router, short, statuses


def nothing_is_left(up):
    """Say whether nobody is being served, as far as anybody counts."""
    router, fast = up.router, up.router.app.fast
    loads = [worker.in_flight for worker in router.pool.all()]
    return not (router.doors.serving or router.doors.held.now or router.doors.tasks or fast.under_way or any(loads))


@contextlib.asynccontextmanager
async def kept(up):
    """Connect a client that has been answered once, so that its head and an engine are known."""
    reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
    try:
        writer.write(request(short()))
        await reader.readuntil(b"\r\n\r\n{}")
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_prompt_that_nobody_can_estimate_is_answered_and_forgotten():
    # Deep enough to be read and too deep to be written, somewhere among these.
    bodies = [b'{"prompt":[[1,%b]]}' % (b"[" * deep + b"]" * deep) for deep in range(900, 1000)]
    async with engine() as decoder, router(decode=[decoder]) as up:
        for body in bodies:
            answer = await up.post(body, "/v1/completions")
            assert statuses(answer)[0] in (200, 400, 500)
        assert nothing_is_left(up)


@pytest.mark.patches
async def test_a_choice_that_fails_is_one_requests_failure(monkeypatch):
    async with engine() as decoder, router(decode=[decoder]) as up, kept(up) as (reader, writer):

        def choose(*_):
            raise KeyError

        with monkeypatch.context() as patch:
            patch.setattr(Chooser, "answering", choose)
            writer.write(request(short()))
            assert b" 500 " in await reader.readuntil(b"\r\n")
            await reader.readuntil(b"}}")
        writer.write(request(short()))
        assert b" 200 " in await reader.readuntil(b"\r\n")
        await up.until(lambda: nothing_is_left(up))


@pytest.mark.parametrize("framing", [b"content-length: 60000\r\n", b"transfer-encoding: chunked\r\n"])
async def test_an_engine_whose_last_client_did_not_read_is_heard_by_the_next(framing):
    async def answer(seen, reader, writer):
        data = b"x" * 60000
        if b"chunked" in framing:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (framing, data) if b"much" in seen.body else OK)

    sections = {"health": {"intervalSeconds": 60}, "timeouts": {"upstreamKeepAliveSeconds": 60}}
    async with engine(answer) as decoder, router(decode=[decoder], **sections) as up:
        await up.post(short())
        loop, client = asyncio.get_running_loop(), socket.socket()
        with client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", up.port))
            while not any(each.choked for each in up.router.doors.inside):
                await loop.sock_sendall(client, request(short(say="much")))
                await asyncio.sleep(0.01)
            await up.until(lambda: nothing_is_left(up))
            assert not any(each.paused for each in up.router.connections._open)
            assert statuses(await up.post(short())) == [200]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/models"])
async def test_who_asks_on_and_on_and_reads_nothing_is_answered_no_further_than_it_reads(path):
    async def answer(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n" + b"x" * 50000)

    ask = get(path, b"") if path == "/v1/models" else request({"prompt": "hi"}, path)
    async with engine(answer) as decoder, router(decode=[decoder]) as up:
        loop, client = asyncio.get_running_loop(), socket.socket()
        with client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", up.port))
            sending = asyncio.create_task(loop.sock_sendall(client, ask * 1000))
            await up.until(lambda: any(each.choked for each in up.router.doors.inside))
            await asyncio.sleep(0.3)
            (connection,) = up.router.doors.inside
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 2 * 65536
            connection.expire(loop.time() + 100)  # whose turn it is is ours to say: it is not late
            read = 0
            async with asyncio.timeout(20):
                while read < 1000 * 50000:
                    read += len(await loop.sock_recv(client, 1 << 20))
                await sending
            assert len(decoder.seen) >= 990
            await up.until(lambda: nothing_is_left(up))


async def test_a_connection_that_cannot_even_be_tried_is_one_requests_failure(monkeypatch):
    async def opened(*_):
        raise UnicodeError("label too long")

    async with engine() as decoder, router(decode=[decoder], health={"intervalSeconds": 60}) as up:
        up.router.connections.close()
        with monkeypatch.context() as patch:
            patch.setattr(legs, "opened", opened)
            assert statuses(await up.post(short())) == [500]
        assert nothing_is_left(up)
        assert any("failed in the router: UnicodeError" in line for line in up.lines)
        assert statuses(await up.post(short())) == [200]


@pytest.mark.patches
@pytest.mark.parametrize("leaves", [False, True])
async def test_a_request_that_cannot_be_counted_is_over_all_the_same(monkeypatch, leaves):
    async def answer(seen, reader, writer):
        if leaves and b"wait" in seen.body:
            assert await reader.read() == b""
            raise ConnectionResetError
        writer.write(OK)

    async with engine(answer) as decoder, router(decode=[decoder]) as up, kept(up) as (reader, writer):

        def record(_):
            raise KeyError

        with monkeypatch.context() as patch:
            patch.setattr(up.router.app.metrics, "record", record)
            writer.write(request(short(say="wait")))
            if leaves:
                await up.until(lambda: len(decoder.seen) == 2)
                writer.close()
            else:
                await reader.readuntil(b"\r\n\r\n{}")
            await up.until(lambda: any("failed in the router: KeyError" in line for line in up.lines))
        await up.until(lambda: nothing_is_left(up))
        assert statuses(await up.post(short())) == [200]
