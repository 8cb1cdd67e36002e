"""Clients that read slowly, engines that fall silent, and a router that leaves, while requests are on the fast path."""

import asyncio

import pytest

from router.conversing import counted, said, talk
from router.rig import OK, STREAM, answers_when, chunk, engine, request, router, short, statuses
from router.test_fast_path import KEPT, begins, fast, nobody_is_left, silent

EVENT = b'data: {"x":1}\n\n'
LAST = b"0\r\n\r\n"
PIECE = b"x" * 65536


class Pours:
    """An engine that sends more than lies anywhere between it and a client that does not read."""

    def __init__(self, *, pieces=600, sized=False):
        self.pieces, self.sized, self.sent = pieces, sized, 0

    async def script(self, seen, reader, writer):
        length = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(PIECE) * self.pieces)
        writer.write(length if self.sized else STREAM)
        for _ in range(self.pieces):
            writer.write(PIECE if self.sized else chunk(PIECE))
            await writer.drain()
            self.sent += len(PIECE)
        writer.write(b"" if self.sized else LAST)

    async def stalled(self):
        """Wait until nothing more is taken."""
        before = -1
        while before != self.sent:
            before = self.sent
            await asyncio.sleep(0.1)
        assert self.sent < len(PIECE) * self.pieces


@pytest.mark.parametrize("sized", [True, False], ids=["of a length", "in chunks"])
async def test_a_client_that_does_not_read_has_its_engine_wait_and_is_not_given_up(ways, sized):
    pours = Pours(sized=sized)
    async with engine(pours.script) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.transport.pause_reading()
        client.write(request(short(stream=True)))
        await pours.stalled()
        now = asyncio.get_running_loop().time()
        for seconds in (0, 1000, 2000):
            fast(up).expire(now + seconds)
        assert len(fast(up).under_way) == 1
        client.transport.resume_reading()
        await up.until(lambda: len(client.got) > len(PIECE) * pours.pieces, seconds=30)
        assert nobody_is_left(up)
        client.close()
    assert (ways.taken, ways.handed) == (1, 0)


async def test_a_client_that_leaves_without_having_read_lets_its_engine_go(ways):
    pours = Pours()
    async with engine(pours.script) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.transport.pause_reading()
        client.write(request(short(stream=True)))
        await pours.stalled()
        client.transport.abort()
        await up.until(lambda: decoder.left == 1)
        await up.until(lambda: nobody_is_left(up))
        assert said(up)[-1].endswith("end=client_left")


@pytest.mark.parametrize("quick", [True, False], ids=["fast", "path"])
async def test_an_answer_whose_last_piece_is_more_than_its_client_takes_leaves_a_connection_that_is_read(quick):
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b"

    async def answer(seen, reader, writer):
        writer.write(large % (len(PIECE), PIECE) if seen.json.get("stream") else OK)

    async with engine(answer) as decoder, router(decode=[decoder], fast=quick, **KEPT) as up:
        client = await talk(up)
        client.transport.pause_reading()
        await up.until(lambda: up.router.doors.inside)
        (held,) = up.router.doors.inside
        while not held.choked:
            seen = len(decoder.seen)
            client.write(request(short(stream=True)))
            await up.until(lambda seen=seen: len(decoder.seen) > seen and not up.router.doors.serving)
        assert statuses(await up.post(short())) == [200]
        assert decoder.connections == 1
        client.close()


@pytest.mark.parametrize("quick", [True, False], ids=["fast", "path"])
async def test_a_client_that_asks_ahead_and_does_not_read_has_its_requests_wait(quick):
    async def answer(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(PIECE), PIECE))

    count = 400
    async with engine(answer) as decoder, router(decode=[decoder], fast=quick, **KEPT) as up:
        client = await talk(up)
        client.transport.pause_reading()
        client.write(request(short()) * count)
        before = -1
        while before != len(decoder.seen):
            before = len(decoder.seen)
            await asyncio.sleep(0.1)
        assert before < count
        client.transport.resume_reading()
        await up.until(lambda: len(client.got) > count * len(PIECE), seconds=20)
        assert len(decoder.seen) == count
        await up.until(lambda: nobody_is_left(up) if quick else not up.router.doors.serving)
        client.close()


# What is asked, what the engine does, and for how many seconds of silence it is waited: those of the defaults.
SILENT = {
    "a stream that does not begin": (short(stream=True), silent, 300),
    "an answer that does not come": (short(), silent, 3600),
    "a stream whose head came": (short(stream=True), begins(STREAM), 300),
    "a stream that stops": (short(stream=True), begins(STREAM, chunk(EVENT)), 300),
    "an answer that stops": (short(), begins(OK[:-2].replace(b": 2", b": 9"), b"{"), 300),
}


@pytest.mark.parametrize(("body", "script", "most"), SILENT.values(), ids=SILENT)
async def test_an_engine_that_is_silent_for_too_long_is_given_up_and_no_sooner(ways, body, script, most):
    async with engine(script) as decoder, engine() as other, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(body))
        await up.until(lambda: decoder.seen)
        if script is not silent:
            await up.until(lambda: client.got)
        now = asyncio.get_running_loop().time()
        fast(up).expire(now)
        fast(up).expire(now + most - 60)
        assert (len(fast(up).under_way), ways.handed) == (1, 0)
        fast(up).expire(now + most + 60)
        await up.until(lambda: decoder.left == 1 and nobody_is_left(up))
        await up.until(lambda: (client.got and client.end != "kept") or script is silent)
        assert other.seen == [], "what was slow for one is not put to another"
        assert said(up)[-1].endswith("end=upstream_died")
        assert statuses(client.got) == [504 if script is silent else 200]
        assert (b"timeout_error" in client.got) is (script is silent)
        assert (b'"code":"upstream_died"' in client.got) is (body == short(stream=True) and script is not silent)
        assert not client.got.endswith(LAST)
        client.close()


async def test_an_engine_that_says_something_now_and_then_is_not_given_up():
    more, parts = asyncio.Event(), 0

    async def drips(seen, reader, writer):
        writer.write(STREAM)
        for _ in range(4):
            await more.wait()
            more.clear()
            writer.write(chunk(EVENT))
        writer.write(LAST)

    async with engine(drips) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(short(stream=True)))
        now = asyncio.get_running_loop().time()
        for parts in range(1, 5):
            more.set()
            await up.until(lambda parts=parts: client.got.count(EVENT) == parts)
            fast(up).expire(now + parts * 290)
            fast(up).expire(now + parts * 290 + 280)
        await up.until(lambda: nobody_is_left(up))
        assert client.got.endswith(LAST)
        client.close()


async def test_the_router_itself_looks_for_the_silent(ways):
    times = {"timeouts": {"firstByteSeconds": 0.05, "answerSeconds": 60, "upstreamKeepAliveSeconds": 60}}
    async with engine(silent) as decoder, router(decode=[decoder], **(KEPT | times)) as up:
        assert statuses(await up.post(short(stream=True))) == [504]
    assert (ways.taken, ways.handed) == (1, 1)


async def test_a_router_that_leaves_waits_for_those_under_way_and_closes_behind_them(ways):
    go_on = asyncio.Event()
    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(short()))
        await up.until(lambda: decoder.seen)
        up.stop.set()
        await up.until(lambda: not up.router.doors.open)
        await asyncio.sleep(0.05)
        assert not up.task.done()
        go_on.set()
        await up.task
        await up.until(lambda: client.end == "closed")
        assert statuses(client.got) == [200]
        assert b"connection: close" in client.got
        assert up.lines[-1] == "[INFO] router stopped: requests_cut=0 transfers_left=0"
    assert ways.taken == 1


# What is asked, what has come of it when the grace is over, and how the client's connection ends.
CUT = {
    "before the head": (short(), silent, "closed"),
    "a stream": (short(stream=True), begins(STREAM, chunk(EVENT)), "closed"),
    "after a stream's head": (short(stream=True), begins(STREAM), "closed"),
    "an event cut in half": (short(stream=True), begins(STREAM, chunk(b'data: {"cut')), "closed"),
    "a chunk cut in half": (short(stream=True), begins(STREAM, b"ff\r\ndata:"), "reset"),
    "a whole answer": (short(), begins(OK[:-2].replace(b": 2", b": 9"), b"{"), "reset"),
}


@pytest.mark.parametrize(("body", "script", "end"), CUT.values(), ids=CUT)
async def test_who_is_still_there_when_the_grace_is_over_is_told_so_as_on_the_path(ways, body, script, end):
    told = []
    for quick in (True, False):
        sections = KEPT | {"timeouts": {"upstreamKeepAliveSeconds": 60, "graceSeconds": 0.6}}
        async with engine(script) as decoder, router(decode=[decoder], fast=quick, **sections) as up:
            client = await talk(up)
            client.write(request(body, headers=b"x-request-id: mine\r\n"))
            await up.until(lambda: decoder.seen and (client.got or script is silent))  # noqa: B023 - in this round
            up.stop.set()
            await up.task
            await up.until(lambda: client.end != "kept")  # noqa: B023 - in this round
            await up.until(lambda: decoder.left == 1)
            assert up.lines[-1] == "[INFO] router stopped: requests_cut=1 transfers_left=0"
            lines = [line.replace(str(decoder.port), "PORT") for line in said(up)]
            figures = [line for line in counted(up) if str(decoder.port) not in line]
            told.append((bytes(client.got), client.end, lines, figures))
    assert told[0] == told[1]
    assert told[0][1] == end
    assert told[0][2][-1].endswith("end=client_left")
    assert (b'"code":"shutting_down"' in told[0][0]) is (end == "closed")
    assert (ways.taken, ways.handed) == (1, 0)
