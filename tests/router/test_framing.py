import asyncio

import pytest

from router.framing_table import REFUSED, SERVED
from router.rig import LONG, OK, engine, get, request, router, short, statuses

BODY = b'{"prompt":"a"}'
HOST = b"host: r\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\n" + HOST


HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"transfer-encoding"}


async def refusal(up, data: bytes) -> str:
    """Return what is wrong with how these bytes were refused, nothing when they were."""
    answer = await up.raw(data + get("/ping"))
    if not answer.startswith(b"HTTP/1.1 400 "):
        return str(answer[:80])
    if len(statuses(answer)) != 1:
        return "what follows was read as a request"
    return "" if b"connection: close" in answer and b'"error":{' in answer else "no proper refusal"


async def test_what_two_readers_could_read_differently_is_refused_and_the_connection_ends():
    async with engine() as decoder, router(decode=[decoder]) as up:
        found = {name: await refusal(up, data) for name, data in REFUSED.items()}
        assert {name: wrong for name, wrong in found.items() if wrong} == {}
        assert decoder.seen == []


def sent(seen) -> str:
    """Return what is doubtful about a request as an engine got it."""
    start, *lines = seen.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    names = [line.partition(b":")[0].lower() for line in lines]
    if start != b"POST /v1/completions HTTP/1.1" or seen.body != BODY:
        return f"{start!r} {seen.body!r}"
    if names.count(b"content-length") != 1 or b"content-length: 14" not in lines or names.count(b"host") != 1:
        return f"framing or host: {lines}"
    return f"kept: {names}" if HOP & set(names) or any(b"_" in name or b"proxy" in name for name in names) else ""


async def test_what_is_served_reaches_an_engine_as_one_plain_request():
    async with engine() as decoder, router(decode=[decoder]) as up:
        found = {}
        for name, data in SERVED.items():
            answer = await up.raw(data)
            wrong = [] if statuses(answer) == [200] else [answer.decode("latin-1")[:80]]
            found[name] = (
                wrong + [sent(seen) for seen in decoder.seen if sent(seen)] + ["twice"] * (len(decoder.seen) - 1)
            )
            decoder.seen.clear()
        assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", ["HTTP/1.0", "chunks", "te"])
async def test_a_client_that_leaves_in_the_middle_of_its_request_leaves_nothing_behind(name):
    async with engine() as decoder, router(decode=[decoder]) as up:
        data = SERVED[name]
        for end in range(1, len(data), 7):
            _, writer = await asyncio.open_connection("127.0.0.1", up.port)
            writer.write(data[:end])
            writer.close()
            await writer.wait_closed()
        await up.until(lambda: not up.router.doors.inside and not up.router.doors.tasks)
        assert decoder.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"e\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"E;name=value\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"1\r\n{\r\nd\r\n" + BODY[1:] + b"\r\n0\r\nx-trailer: a\r\nauthorization: b\r\n\r\n",
    ],
)
async def test_a_chunked_body_reaches_the_engine_with_a_length_and_without_its_trailers(body):
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(POST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 200 ")
        seen = decoder.seen[0]
        assert seen.body == BODY
        assert b"transfer-encoding" not in seen.head
        assert b"x-trailer" not in seen.head
        assert b"authorization" not in seen.head
        assert seen.head.count(b"content-length: 14\r\n") == 1


async def test_an_empty_header_does_not_melt_into_the_next_one():
    async with engine() as decoder, router(decode=[decoder]) as up:
        await up.post(short(), headers=b"x-empty:\r\nx-full: 1\r\n")
        head = decoder.seen[0].head
        assert b"x-empty: \r\n" in head
        assert b"x-full: 1\r\n" in head


async def test_requests_sent_ahead_are_answered_one_after_the_other_in_their_order():
    async with engine() as decoder, router(decode=[decoder]) as up:
        data = get("/nope", b"") + request(short()) + get("/health", b"") + request(short()) + get("/ping")
        answer = await up.raw(data)
        assert statuses(answer) == [404, 200, 200, 200, 200]
        assert len(decoder.seen) == 2


async def test_a_broken_request_behind_a_good_one_does_not_spoil_its_answer():
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(request(short()) + b"nonsense\r\n\r\n")
        assert statuses(answer) == [200]
        assert b"connection: close" in answer, "the client learns that what it sent behind was not taken"


async def test_nothing_is_read_behind_a_request_that_closes():
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(get("/ping") + get("/ping"))
        assert len(statuses(answer)) == 1


async def test_a_head_that_is_too_large_is_refused_before_it_ends():
    async with engine() as decoder, router(decode=[decoder], limits={"headBytes": 2048}) as up:
        for data in (
            b"GET /ping HTTP/1.1\r\nhost: r\r\nx: " + b"a" * 4000,
            b"GET /" + b"a" * 4000,
            b"GET /ping HTTP/1.1\r\n" + b"a: b\r\n" * 600,
        ):
            assert (await up.raw(data)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_is_too_large_is_refused_whatever_announces_it():
    async with engine() as decoder, router(decode=[decoder], limits={"bodyBytes": 1024}) as up:
        assert (await up.post(short(pad="a" * 2000))).startswith(b"HTTP/1.1 413 ")
        chunks = b"400\r\n" + b"a" * 1024 + b"\r\n"
        data = POST + b"transfer-encoding: chunked\r\n\r\n" + chunks + chunks
        assert (await up.raw(data)).startswith(b"HTTP/1.1 413 ")
        assert decoder.seen == []


async def test_a_client_that_still_sends_reads_its_refusal():
    async with engine() as decoder, router(decode=[decoder], limits={"bodyBytes": 1024}) as up:
        answer = await up.post(b"a" * 5_000_000)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"send a shorter prompt" in answer


async def test_expect_100_continue_is_answered_before_the_body():
    async with engine() as decoder, router(decode=[decoder]) as up:
        head, body = request(short(), headers=b"expect: 100-continue\r\nconnection: close\r\n").split(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        assert b"expect" not in decoder.seen[0].head


async def test_http_1_0_is_answered_without_chunks_and_closed():
    async def stream(seen, reader, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n" + b"d" * 16 + b"\r\n0\r\n\r\n"
        )

    async with engine(stream) as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(request(short(), version=b"1.0"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert body == b"abc" + b"d" * 16
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head


async def test_an_upgrade_is_not_taken_and_the_request_is_answered():
    async with engine() as decoder, router(decode=[decoder]) as up:
        headers = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n"
        answer = await up.raw(get("/ping", headers))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert statuses(await up.raw(request(short(), headers=headers) + get("/ping"))) == [200]
        chunked = POST + headers + b"transfer-encoding: chunked\r\n\r\ne\r\n" + BODY + b"\r\n0\r\n\r\n"
        assert statuses(await up.raw(chunked + get("/ping"))) == [200]
        assert [seen.json for seen in decoder.seen] == [short(), {"prompt": "a"}]
        assert b"upgrade" not in decoder.seen[0].head.lower()


async def test_connect_is_refused():
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(b"CONNECT r:80 HTTP/1.1\r\nhost: r:80\r\n\r\n" + get("/ping"))
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404")
        assert len(statuses(answer)) == 1


async def test_a_request_in_single_bytes_is_a_request():
    async with engine() as decoder, router(decode=[decoder]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        for byte in request(short(), headers=b"connection: close\r\n"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        assert decoder.seen[0].json == short()


async def test_one_connection_serves_many_requests():
    async with engine() as decoder, router(decode=[decoder]) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        for _ in range(5):
            writer.write(request(short()))
            await reader.readuntil(b"\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()
        assert len(decoder.seen) == 5


async def test_a_client_that_never_ends_its_request_is_told_so():
    async with engine() as decoder, router(decode=[decoder], timeouts={"requestSeconds": 0.1}) as up:
        assert (await up.raw(b"POST /v1/comp")).startswith(b"HTTP/1.1 408 ")
        assert (await up.raw(POST + b"content-length: 14\r\n\r\n{")).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_without_a_word():
    async with engine() as decoder, router(decode=[decoder], timeouts={"idleSeconds": 0.1}) as up:
        assert await up.raw(b"") == b""


async def test_the_body_of_a_disaggregated_request_arrives_whole():
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        body = {"prompt": LONG * 100, "stream": False}
        assert (await up.post(body, "/v1/completions")).endswith(OK[-2:])
        assert prefiller.seen[0].json["prompt"] == body["prompt"]
        assert decoder.seen[0].json["prompt"] == body["prompt"]
