import asyncio
import contextlib
import json
import re

import pytest

from router.rig import LONG, OK, STREAM, chunk, engine, get, request, router, short, statuses

EVENT = b'data: {"x":1}\n\n'


async def test_a_stream_is_relayed_byte_for_byte():
    body = b"".join(chunk(b"data: %d\n\n" % i) for i in range(200)) + b"0\r\nx-trailer: 1\r\n\r\n"

    async def stream(seen, reader, writer):
        writer.write(STREAM)
        for start in range(0, len(body), 37):  # nothing of this falls on a chunk's edge
            writer.write(body[start : start + 37])
            await writer.drain()
            await asyncio.sleep(0)

    async with engine(stream) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short(stream=True))
        assert answer.partition(b"\r\n\r\n")[2] == body


async def test_events_arrive_while_the_engine_is_still_at_work():
    go_on = asyncio.Event()

    async def stream(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await go_on.wait()
        writer.write(b"0\r\n\r\n")

    async with engine(stream) as decoder, router(decode=[decoder]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(short(), headers=b"connection: close\r\n"))
        await reader.readuntil(EVENT)
        go_on.set()
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
async def test_an_engines_error_is_the_clients_error(status):
    body = b'{"error":{"message":"from the engine"}}'

    async def refuse(seen, reader, writer):
        head = b"HTTP/1.1 %d X\r\nretry-after: 7\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (status, len(body)) + body)

    async with engine(refuse) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [status]
        assert answer.endswith(body)
        assert b"retry-after: 7\r\n" in answer
        assert len(decoder.seen) == 1
        assert up.router.pool.all()[0].up, "one client's mistake is no sign of illness"


async def test_headers_pass_both_ways_and_the_request_id_is_echoed():
    async def answer_with(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nx-engine: 1\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\n{}")

    async with engine(answer_with) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(
            short(), headers=b"Authorization: Bearer k\r\ntraceparent: 00-1\r\nx-request-id: mine\r\n"
        )
        head = decoder.seen[0].head
        assert b"Authorization: Bearer k\r\n" in head
        assert b"traceparent: 00-1\r\n" in head
        assert head.lower().count(b"x-request-id: mine\r\n") == 1
        assert b"x-request-id: mine\r\n" in answer
        assert b"x-engine: 1\r\n" in answer
        assert b"keep-alive: timeout" not in answer


async def test_two_requests_of_one_id_have_two_names_where_engines_are_asked_and_one_where_clients_are_answered():
    both = asyncio.Event()

    async def once_both_came(seen, reader, writer):
        if len(decoder.seen) == 2:
            both.set()
        await both.wait()
        writer.write(OK)

    async with engine(once_both_came) as decoder, router(decode=[decoder]) as up:
        asked = (up.post(short(), headers=b"x-request-id: mine\r\n") for _ in range(2))
        answers = await asyncio.gather(*asked)
        assert all(answer.startswith(b"HTTP/1.1 200") and b"x-request-id: mine\r\n" in answer for answer in answers)
        names = sorted(name for each in decoder.seen for name in re.findall(rb"x-request-id: (\S+)", each.head))
        assert names[0] == b"mine"
        assert re.fullmatch(rb"mine-[0-9a-f]{8}", names[1])
        await up.post(short(), headers=b"x-request-id: mine\r\n")
        assert b"x-request-id: mine\r\n" in decoder.seen[2].head.lower()


@pytest.mark.parametrize("given", [b"a" * 200, b"a b", b"", b"\xe9"])
async def test_a_request_id_that_does_not_fit_a_log_line_is_replaced(given):
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short(), headers=b"x-request-id: " + given + b"\r\n")
        echoed = next(line for line in answer.split(b"\r\n") if line.startswith(b"x-request-id: "))
        assert len(echoed) == len("x-request-id: ") + 32


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_stream_that_breaks_ends_with_an_error_event_and_not_like_a_whole_one(version):
    async def dies(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await writer.drain()
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short(stream=True), version=version)
        assert EVENT in answer
        assert b'"code":"upstream_died"' in answer
        assert b"[DONE]" not in answer
        assert not answer.endswith(b"0\r\n\r\n")
        await up.until(lambda: any("end=upstream_died" in line for line in up.lines))


async def test_an_event_cut_in_half_is_closed_before_the_error_event():
    async def dies(seen, reader, writer):
        writer.write(STREAM + chunk(b'data: {"cut'))
        await writer.drain()
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder]) as up:
        assert b'data: {"cut\r\n' in await up.post(short())
        answer = await up.post(short())
        assert b'\n\ndata: {"error"' in answer


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(STREAM + b"ff\r\ndata: hal", id="in the middle of a chunk"),
        pytest.param(STREAM + b"f", id="in the middle of a chunk's size"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", id="before the announced length"),
    ],
)
async def test_an_answer_that_cannot_be_ended_cleanly_is_cut(part):
    async def dies(seen, reader, writer):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder]) as up:
        with pytest.raises(ConnectionResetError):
            await up.post(short())


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,
    ],
)
async def test_engines_that_answer_nothing_sensible_are_a_502_and_are_asked_once_each(reply):
    async def dies(seen, reader, writer):
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with engine(dies) as one, engine(dies) as other, router(decode=[one, other]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [502]
        assert b'"error":{' in answer
        assert [len(each.seen) for each in (one, other)] == [1, 1]


async def test_what_an_engine_says_beyond_its_answer_reaches_nobody():
    async def says_too_much(seen, reader, writer):
        writer.write(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")

    async with engine(says_too_much) as decoder, router(decode=[decoder]) as up:
        with contextlib.suppress(ConnectionResetError):
            assert b"poison" not in await up.post(short())


async def test_interim_responses_are_skipped():
    async def early(seen, reader, writer):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)

    async with engine(early) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [200]
        assert b"link" not in answer


async def test_an_answer_without_a_length_ends_with_its_connection():
    async def old(seen, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with engine(old) as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(request(short()))
        assert answer.endswith(b"\r\n\r\nabc")
        assert b"connection: close" in answer


async def test_connections_to_engines_are_used_again_while_they_are_young():
    async with engine() as decoder, router(decode=[decoder], health={"intervalSeconds": 60}) as up:
        for _ in range(5):
            await up.post(short())
        assert decoder.connections == 1


async def test_a_connection_older_than_the_engines_keep_alive_is_not_used_again():
    async with (
        engine() as decoder,
        router(decode=[decoder], health={"intervalSeconds": 60}, timeouts={"upstreamKeepAliveSeconds": 0.05}) as up,
    ):
        await up.post(short())
        before = decoder.connections
        await asyncio.sleep(0.1)
        await up.post(short())
        assert decoder.connections == before + 1


async def test_a_connection_the_engine_closed_in_the_meantime_is_not_used():
    async def once(seen, reader, writer):
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with engine(once) as decoder, router(decode=[decoder]) as up:
        for _ in range(10):
            assert statuses(await up.post(short())) == [200]


async def test_idle_connections_are_closed_in_time():
    async with (
        engine() as decoder,
        router(decode=[decoder], health={"intervalSeconds": 60}, timeouts={"upstreamKeepAliveSeconds": 0.05}) as up,
    ):
        await up.post(short())
        await up.until(lambda: decoder.left == decoder.connections)


async def test_a_slow_client_slows_the_engine_and_fills_no_memory():
    sent = 0

    async def pours(seen, reader, writer):
        nonlocal sent
        writer.write(STREAM)
        piece = chunk(b"x" * 65536)
        for _ in range(2000):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        writer.write(b"0\r\n\r\n")

    async with engine(pours) as decoder, router(decode=[decoder]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port, limit=1024)
        writer.write(request(short(), headers=b"connection: close\r\n"))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 60_000_000, "the engine waits: what is in flight fits the kernel's buffers and ours"
        total = 0
        while data := await reader.read(1 << 20):
            total += len(data)
        assert total > 2000 * 65536
        writer.close()
        await writer.wait_closed()


async def test_an_engine_that_is_gone_is_replaced_without_the_clients_noticing():
    async with engine() as one, engine() as other, router(decode=[one, other], health={"intervalSeconds": 60}) as up:
        await one.close()
        up.router.connections.close()
        for _ in range(6):
            assert statuses(await up.post(short())) == [200]
        assert len(other.seen) == 6


async def test_without_any_engine_the_client_is_told_to_come_back_later():
    async with engine() as decoder, router(decode=[decoder]) as up:
        await decoder.close()
        await up.until(lambda: not up.router.pool.all()[0].up)
        answer = await up.post(short())
        assert statuses(answer) == [503]
        assert b"retry-after: 5\r\n" in answer
        health = await up.raw(get("/health"))
        assert statuses(health) == [503]
        assert json.loads(health.partition(b"\r\n\r\n")[2])["why"] == "no decoder or worker is healthy"
        await decoder.open(decoder.port)
        await up.until(lambda: up.router.pool.all()[0].up)
        assert statuses(await up.post(short())) == [200]
        assert statuses(await up.raw(get("/ping"))) == [200]


async def test_a_large_body_is_sent_whole_to_a_slow_engine():
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        body = {"prompt": LONG * 500}
        assert statuses(await up.post(body, "/v1/completions")) == [200]
        assert decoder.seen[0].json["prompt"] == body["prompt"]
