"""What may go wrong on the way of plain requests, and whom it must not reach."""

import asyncio
import contextlib

from dpd_router.chooser import Chooser
from router.rig import engine, request, router, short, statuses


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
