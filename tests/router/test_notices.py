import asyncio
import contextlib

import msgspec
import pytest
import zmq
import zmq.asyncio

from dpd_router.notify import NoticeBoard
from router.rig import until


@contextlib.asynccontextmanager
async def board():
    made = NoticeBoard()
    port = made.open("127.0.0.1", 0)
    context = zmq.asyncio.Context()
    push = context.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{port}")

    async def say(message):
        await push.send(message if isinstance(message, bytes) else msgspec.msgpack.encode(message))

    try:
        yield made, say
    finally:
        push.close(0)
        context.term()
        await made.close()


def notice(transfer_id):
    return {"type": "ProxyNotif", "req_id": transfer_id}


async def test_a_transfer_is_there_when_each_rank_has_said_so():
    async with board() as (notices, say):
        notices.expect("a")
        for _ in range(2):
            await say(notice("a"))
        assert await notices.arrived("a", 2, 5)


async def test_ranks_may_speak_while_someone_waits():
    async with board() as (notices, say):
        notices.expect("a")
        waiting = asyncio.create_task(notices.arrived("a", 3, 5))
        for _ in range(3):
            await say(notice("a"))
        assert await waiting


async def test_a_rank_that_says_nothing_is_not_waited_for_without_end():
    async with board() as (notices, say):
        notices.expect("a")
        await say(notice("a"))
        await say(notice("b"))
        await until(lambda: notices.unknown == 1)
        assert not await notices.arrived("a", 2, 0.02)


@pytest.mark.parametrize("rubbish", [b"", b"\xc1", b"text", msgspec.msgpack.encode({"type": "Other", "req_id": "a"})])
async def test_rubbish_is_read_and_dropped(rubbish):
    async with board() as (notices, say):
        notices.expect("a")
        await say(rubbish)
        await say(notice("a"))
        assert await notices.arrived("a", 1, 5)
        assert notices.unknown == 1


async def test_what_comes_late_is_read_all_the_same():
    async with board() as (notices, say):
        notices.expect("a")
        notices.forget("a")
        for _ in range(3000):
            await say(notice("a"))
        await until(lambda: notices.unknown == 3000)


async def test_a_port_that_is_taken_is_an_error_and_nothing_hangs():
    async with board() as (notices, _):
        other = NoticeBoard()
        try:
            with pytest.raises(OSError, match="Address already in use"):
                other.open("127.0.0.1", notices.port)
        finally:
            await other.close()
