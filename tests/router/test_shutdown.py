import asyncio
import io

import pytest

from dpd_router.config.load import from_document
from dpd_router.logs import Format, Log
from dpd_router.server import assemble
from router.rig import STREAM, answers_when, chunk, engine, get, long, request, router, short, statuses
from support.ports import free_ports

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

    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder]) as up:
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

    async with engine(answers_when(go_on)) as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
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


async def test_whoever_is_cut_off_at_the_end_is_told_so():
    async def forever(seen, reader, writer):
        if seen.json.get("stream"):
            writer.write(STREAM + chunk(EVENT))
        await asyncio.sleep(60)

    async with engine(forever) as decoder, router(decode=[decoder], timeouts={"graceSeconds": 0.2}) as up:
        streaming, waiting = await connect(up), await connect(up)
        streaming[1].write(request(short(stream=True)))
        waiting[1].write(request(short()))
        await streaming[0].readuntil(EVENT)
        await up.until(lambda: len(decoder.seen) == 2)
        up.stop.set()
        answer = await streaming[0].read()
        assert b'"code":"shutting_down"' in answer
        assert not answer.endswith(b"0\r\n\r\n")
        refused = await waiting[0].read()
        assert statuses(refused) == [503]
        assert b"retry-after: 5" in refused
        await up.task
        await part(streaming[1])
        await part(waiting[1])
        assert up.lines[-1] == "[INFO] router stopped: requests_cut=2 transfers_left=0"


async def test_a_transfer_whose_client_is_cut_off_is_drained_all_the_same():
    go_on = asyncio.Event()

    timeouts, slow = {"graceSeconds": 3}, answers_when(go_on)
    async with engine(slow) as prefiller, engine() as decoder, router([prefiller], [decoder], timeouts=timeouts) as up:
        reader, writer = await connect(up)
        writer.write(request(long()))
        await up.until(lambda: prefiller.seen)
        up.stop.set()
        assert statuses(await reader.read()) == [503]
        go_on.set()
        await up.task
        assert [seen.json["max_tokens"] for seen in decoder.seen] == [1]
        await part(writer)


async def test_a_router_on_its_way_out_takes_requests_until_the_balancer_has_noticed():
    async with engine() as decoder, router(decode=[decoder], timeouts={"leaveSeconds": 0.5}) as up:
        up.stop.set()
        await up.until(lambda: not up.router.doors.open)
        assert statuses(await up.raw(get("/health"))) == [503]
        answer = await up.raw(request(short()))
        assert statuses(answer) == [200]
        assert b"connection: close" in answer
        await up.task


async def test_the_routers_standing_is_in_its_metrics():
    async with engine() as decoder, router(decode=[decoder]) as up:
        text = (await up.raw(get("/metrics"))).decode()
        name = f'{{role="decode",worker="127.0.0.1:{decoder.port}"}}'
        assert f"dpd_router_worker_ready{name} 1.0" in text
        assert f"dpd_router_worker_ejected{name} 0.0" in text
        assert "dpd_router_fallbacks_refused_total 0.0" in text
        assert 'dpd_router_ejections_total{role="decode"} 0.0' in text
        assert "dpd_router_discovery_age_seconds" in text


async def test_a_router_does_not_listen_before_it_has_asked_its_workers():
    asked, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_to_say(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        await part(writer)
        ended.set()

    server = await asyncio.start_server(slow_to_say, "127.0.0.1", 0)
    worker = server.sockets[0].getsockname()[1]
    (port,) = free_ports(1)
    document = {
        "listen": {"host": "127.0.0.1", "port": port},
        "endpoint": {"name": "e", "invocationPath": "/v1/chat/completions"},
        "discovery": {"mode": "static"},
        "pools": {"worker": [{"host": "127.0.0.1", "port": worker}]},
    }
    stop, started = asyncio.Event(), asyncio.Event()
    made = assemble(from_document(document), Log(io.StringIO(), Format.PLAIN))
    task = asyncio.create_task(made.run(stop, lambda _: started.set()))
    try:
        await asked.wait()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        go_on.set()
        await started.wait()
        assert [each.up for each in made.pool.all()] == [True]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await part(writer)
    finally:
        stop.set()
        await task
        await ended.wait()
        server.close()
