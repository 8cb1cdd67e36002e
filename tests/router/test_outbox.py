"""Requests of one turn of the loop, sent to their engines when it ends."""

import asyncio
import socket

import pytest

from dpd_router.fastpath import BUSY
from dpd_router.wire.options import acknowledge_less
from dpd_router.wire.outbox import Outbox
from dpd_router.wire.upstream import Upstream
from router.rig import STREAM, chunk, engine, request, router, short, statuses, until


def fast(up):
    """The fast path of a router that has one."""
    assert up.router.app.fast is not None
    return up.router.app.fast


class Sender:
    """A connection that notes what it is to send."""

    def __init__(self):
        self.posted = []

    def post(self, message, borrower):
        self.posted.append((message, borrower))


async def test_what_is_put_in_a_turn_is_sent_when_it_ends_in_the_order_it_came():
    sender, outbox = Sender(), Outbox(asyncio.get_running_loop().call_soon)
    outbox.put(sender, b"first", "a")
    outbox.put(sender, b"second", "b")
    assert sender.posted == []
    await asyncio.sleep(0)
    assert sender.posted == [(b"first", "a"), (b"second", "b")]
    outbox.put(sender, b"third", "a")
    await asyncio.sleep(0)
    assert sender.posted[2:] == [(b"third", "a")]


class Transport(asyncio.Transport):
    """A transport that notes what is written to it."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.socket = socket.socket()

    def get_extra_info(self, name, default=None):
        return self.socket

    def write(self, data):
        self.written.append(data)

    def is_closing(self):
        return False

    def close(self):
        self.socket.close()


class Borrower:
    """Who has a connection, and waits for nothing."""

    def take(self, data):
        pass

    def lost(self, why):
        pass


async def test_what_a_borrower_left_behind_is_not_sent_for_the_next_one():
    upstream, transport = Upstream(), Transport()
    upstream.connection_made(transport)
    outbox = Outbox(asyncio.get_running_loop().call_soon)
    upstream.lend(b"of the one", Borrower(), outbox)
    upstream.returned()
    upstream.lend(b"of the other", Borrower(), outbox)
    await asyncio.sleep(0)
    assert transport.written == [b"of the other"]
    transport.close()


async def test_many_at_a_time_are_sent_and_answered_each_with_its_own(ways):
    go_on = asyncio.Event()

    async def echo(seen, reader, writer):
        await go_on.wait()
        body = seen.body[-40:]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    count = 3 * BUSY
    async with engine(echo) as decoder, router(decode=[decoder]) as up:
        asked = [asyncio.create_task(up.post(short(say=f"question {number:02}"))) for number in range(count)]
        await until(lambda: len(decoder.seen) == count)
        go_on.set()
        answers = [await each for each in asked]
        assert [statuses(each) for each in answers] == [[200]] * count
        assert all(b"question %02d" % number in each for number, each in enumerate(answers))
        again = [asyncio.create_task(up.post(short(say=f"question {number:02}"))) for number in range(count)]
        for number, each in enumerate(again):
            assert b"question %02d" % number in await each
        assert ways.taken == 2 * count


async def test_a_request_whose_client_leaves_in_the_turn_in_which_it_came_is_not_sent_and_costs_nobody():
    go_on = asyncio.Event()

    async def wait(seen, reader, writer):
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    async with engine(wait) as decoder, router(decode=[decoder]) as up:
        asked = [asyncio.create_task(up.post(short())) for _ in range(BUSY)]
        await until(lambda: len(decoder.seen) == BUSY)
        go_on.set()
        assert [statuses(await each) for each in asked] == [[200]] * BUSY
        go_on.clear()
        asked = [asyncio.create_task(up.post(short())) for _ in range(BUSY - 1)]
        await until(lambda: len(decoder.seen) == 2 * BUSY - 1)
        others = set(fast(up).under_way)
        _, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(request(short(say="nobody waits")))
        while not (mine := set(fast(up).under_way) - others):  # noqa: ASYNC110 - it is caught in the turn in which it begins
            await asyncio.sleep(0)
        (leg,) = mine
        leg.client_left()
        go_on.set()
        assert [statuses(await each) for each in asked] == [[200]] * (BUSY - 1)
        writer.close()
        assert not any(b"nobody waits" in each.body for each in decoder.seen)
        assert statuses(await up.post(short())) == [200]
        await until(lambda: not any(worker.in_flight for worker in up.router.pool.all()))


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux acknowledges pieces one by one, others do not")
async def test_pieces_of_a_stream_are_acknowledged_several_at_a_time():
    go_on = asyncio.Event()

    async def stream(seen, reader, writer):
        writer.write(STREAM + chunk(b"data: {}\n\n"))
        await go_on.wait()
        writer.write(b"0\r\n\r\n")

    async with engine(stream) as decoder, router(decode=[decoder]) as up:
        asked = asyncio.create_task(up.post(short(stream=True)))
        await until(lambda: any(each.told for each in fast(up).under_way))
        (leg,) = fast(up).under_way
        sock = leg.upstream._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 0
        go_on.set()
        assert statuses(await asked) == [200]


def test_a_system_that_cannot_acknowledge_less_is_let_be():
    class Lacking(Transport):
        def get_extra_info(self, name, default=None):
            raise OSError(f"{name}: no such option")

    transport = Lacking()
    acknowledge_less(transport)
    transport.close()
