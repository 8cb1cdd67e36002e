"""What a client is told when an engine, or the proxy beside it, fails: with real sockets."""

import asyncio
import json
import socket

import pytest

from router.rig import STREAM, chunk, engine, request, router, short, statuses

EVENT = b'data: {"x":1}\n\n'
UNREACHABLE = (
    b"HTTP/1.1 %d X\r\nx-dpd-upstream: unreachable\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
)

LIMITED = (
    b"HTTP/1.1 %d X\r\nx-dpd-upstream: limited\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n"
    b'{"error":"Too many"}'
)


def answering(raw):
    async def answer(seen, reader, writer):
        writer.write(raw)

    return answer


def refusing(status, body, headers=b"content-type: text/html\r\n"):
    head = b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n"
    return answering(head % (status, headers, len(body)) + body)


def body_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_a_proxy_without_its_engine_is_as_good_as_no_worker():
    async with (
        engine(answering(UNREACHABLE % 502)) as lost,
        engine() as well,
        router(decode=[lost, well], health={"intervalSeconds": 60}, ejection={"failures": 0}) as up,
    ):
        for _ in range(4):
            assert statuses(await up.post(short())) == [200]
        assert lost.seen
        assert any("reason=decoder_died" in line for line in up.lines)


async def test_without_another_worker_the_client_is_told_by_the_router_and_not_by_the_proxy():
    async with engine(answering(UNREACHABLE % 502)) as lost, router(decode=[lost]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [502]
        assert b"x-dpd-upstream" not in answer
        assert body_of(answer)["error"]["type"] == "upstream_error"


async def test_a_proxy_that_waited_in_vain_is_a_504():
    async with engine(answering(UNREACHABLE % 504)) as lost, engine() as well, router(decode=[lost]) as up:
        assert statuses(await up.post(short())) == [504]
        assert not well.seen


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"detail":"no such field"}', "invalid_request_error", "no such field"),
        (422, b'{"detail":[{"loc":["a"]}]}', "invalid_request_error", '[{"loc":["a"]}]'),
        (404, b'{"object":"error","message":"no model","type":"NotFoundError"}', "not_found_error", "no model"),
        (429, b"", "rate_limit_error", "The engine answered 429."),
        (500, b"<html><h1>Internal</h1></html>", "upstream_error", "The engine answered 500."),
        (500, b"Internal Server Error", "upstream_error", "Internal Server Error"),
        (503, b'{"error":"overloaded"}', "upstream_error", "overloaded"),
    ],
)
async def test_an_error_that_is_not_in_openais_shape_is_put_into_it_and_keeps_its_status(status, body, kind, message):
    async with engine(refusing(status, body)) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [status]
        error = body_of(answer)["error"]
        assert (error["type"], error["message"]) == (kind, message)
        assert b"content-type: application/json" in answer
        assert (b"retry-after: 5" in answer) is (status in (429, 503))


async def test_an_error_of_unknown_length_is_relayed_as_it_is():
    error = b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"oops") + b"0\r\n\r\n"
    async with engine(answering(error)) as decoder, router(decode=[decoder]) as up:
        answer = await up.post(short())
        assert statuses(answer) == [500]
        assert answer.endswith(chunk(b"oops") + b"0\r\n\r\n")


async def test_a_stream_that_does_not_begin_in_time_is_a_504():
    async def silent(seen, reader, writer):
        await reader.read()
        raise ConnectionResetError

    async with (
        engine(silent) as decoder,
        router(decode=[decoder], timeouts={"firstByteSeconds": 0.05, "answerSeconds": 60}) as up,
    ):
        answer = await up.post(short(stream=True))
        assert statuses(answer) == [504]
        assert body_of(answer)["error"]["type"] == "timeout_error"
        await up.until(lambda: decoder.left == 1)


async def test_an_answer_that_comes_whole_has_a_time_of_its_own():
    async def slow(seen, reader, writer):
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    times = {"firstByteSeconds": 0.05, "answerSeconds": 60}
    async with engine(slow) as decoder, router(decode=[decoder], timeouts=times) as up:
        assert statuses(await up.post(short())) == [200]


async def test_a_stream_that_falls_silent_is_broken_off_with_an_error_event():
    async def stalls(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await reader.read()
        raise ConnectionResetError

    async with engine(stalls) as decoder, router(decode=[decoder], timeouts={"streamIdleSeconds": 0.05}) as up:
        answer = await up.post(short(stream=True))
        assert EVENT in answer
        assert b'"code":"upstream_died"' in answer
        assert not answer.endswith(b"0\r\n\r\n")
        await up.until(lambda: decoder.left == 1)


async def test_a_stream_that_keeps_coming_may_take_as_long_as_it_likes():
    async def drips(seen, reader, writer):
        writer.write(STREAM)
        for _ in range(12):
            writer.write(chunk(EVENT))
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    async with engine(drips) as decoder, router(decode=[decoder], timeouts={"streamIdleSeconds": 0.2}) as up:
        assert (await up.post(short(stream=True))).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("length", [40, 4000])
async def test_a_stream_of_a_stated_length_that_breaks_never_looks_whole(length):
    async def dies(seen, reader, writer):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % length + EVENT)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()

    async with engine(dies) as decoder, router(decode=[decoder]) as up:
        if length == 40:  # there is no room to tell it in
            with pytest.raises(ConnectionResetError):
                await up.post(short(stream=True))
            return
        body = (await up.post(short(stream=True))).partition(b"\r\n\r\n")[2]
        assert b'"code":"upstream_died"' in body
        assert len(body) < length


async def test_failing_requests_of_one_client_leave_everybody_elses_alone():
    async def picky(seen, reader, writer):
        bad = b"poison" in seen.body
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n{}" % (500 if bad else 200))

    async with engine(picky) as one, engine(picky) as other, router(decode=[one, other]) as up:
        for _ in range(30):
            assert statuses(await up.post(short(user="poison"))) == [500]
        assert len(one.seen) + len(other.seen) == 30, "an engine's answer is asked for once"
        assert all(each.up for each in up.router.pool.all())
        for _ in range(4):
            assert statuses(await up.post(short())) == [200]


async def test_a_worker_whose_answers_fail_in_a_row_is_left_to_come_round():
    async def fails(seen, reader, writer):
        writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}")

    settings = {"failures": 3, "baseSeconds": 60}
    async with engine(fails) as ill, engine() as well, router(decode=[ill, well], ejection=settings) as up:
        for number in range(20):
            await up.raw(request(short(user=str(number)), headers=b"connection: close\r\n"))
        assert len(ill.seen) == 3
        assert len(well.seen) == 17


async def test_engines_killed_one_after_the_other_fail_nobody_who_was_told_nothing_yet():
    """Small; tests/soak/standing kills real processes."""

    async def slow(seen, reader, writer):
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    async with engine(slow) as one, engine(slow) as other, router(decode=[one, other]) as up:
        for victim in (one, other):
            asked = [asyncio.create_task(up.post(short(user=str(number)))) for number in range(10)]
            await up.until(lambda: len(one.tasks) + len(other.tasks) >= 10)
            await victim.close()
            assert [statuses(await each) for each in asked] == [[200]] * 10
            await victim.open(victim.port)
            await up.until(lambda: all(each.up for each in up.router.pool.all()))


async def test_a_worker_without_room_is_not_held_to_have_failed():
    limited = LIMITED % 503
    async with (
        engine(answering(limited)) as full,
        engine() as other,
        router(decode=[full, other], ejection={"failures": 1}) as up,
    ):
        answers = [await up.post(short(seed=number)) for number in range(6)]
        assert sorted(statuses(each)[0] for each in answers) == [200] * 3 + [503] * 3
        told = next(each for each in answers if statuses(each) == [503])
        assert b"retry-after" in told
        assert body_of(told)["error"]["message"] == "Too many"


async def test_an_engine_whose_machine_is_gone_is_asked_for_and_not_waited_for_without_end():
    async with engine() as decoder, router(decode=[decoder]) as up:
        assert statuses(await up.post(short())) == [200]
        (upstream, *_) = up.router.connections._open
        assert upstream._transport is not None
        sock = upstream._transport.get_extra_info("socket")
        asked = [sock.getsockopt(socket.IPPROTO_TCP, each) for each in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert asked == [60, 15]
