"""Event batches as vLLM encodes them, their order, and a feed before a publisher that misbehaves."""

import asyncio
import contextlib

import msgspec
import pytest
import zmq
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.kvevents import Feeds, Ports
from dpd_router.kvevents.batches import apply, read
from dpd_router.kvevents.order import Order, Turn
from dpd_router.pool import Address, Pool, Role, Worker
from dpd_router.strategies.kvindex import Index
from router import rig
from support.ports import free_ports

WORDS = list(range(100, 132))
# A batch as `msgspec.msgpack.Encoder` writes vLLM 0.19's own structs: hashes of 64 bits, or of 32 bytes.
STORED = ["BlockStored", [11, 12], None, WORDS[:8], 4, None, "GPU", None]


def encoded(*events, at=1.0):
    return msgspec.msgpack.encode([at, list(events), 0])


def indexed(*batches):
    index: Index[str] = Index(1000)
    index.join("w")
    for batch in batches:
        apply(read(batch), index, "w")
    return index


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([STORED], 8),
        ([[*STORED[:5], None, None, None]], 8),
        ([STORED[:6]], 8),
        ([["BlockStored", [b"a" * 32, b"b" * 32], None, WORDS[:8], 4, None, "GPU", None]], 8),
        ([STORED, ["BlockStored", [13], 12, WORDS[8:12], 4, None, "GPU", None, [None]]], 12),
        ([[*STORED, [None, None], "a field of later"]], 8),
        ([STORED, ["BlockRemoved", [12], "GPU"]], 4),
        ([STORED, ["BlockRemoved", [12], "CPU"]], 8),
        ([STORED, ["AllBlocksCleared"]], 0),
        ([[*STORED[:5], 7, "GPU", None]], 0),
        ([[*STORED[:5], None, "GPU", "adapter"]], 0),
        ([[*STORED[:5], None, "CPU", None]], 0),
        ([[*STORED, [["a picture"], None]]], 0),
        ([["BlockStored", [11], None, WORDS[:3], 4, None, "GPU", None]], 0),
        ([["BlockStored", [11], None, WORDS[:4], 0, None, "GPU", None]], 0),
    ],
)
def test_what_an_engine_tells_is_what_it_holds(events, held):
    assert indexed(encoded(*events)).tokens(WORDS, "w") == held


@pytest.mark.parametrize("payload", [b"", b"\xff", msgspec.msgpack.encode([1.0, [["Strange", 1]], 0]), b"\x01"])
def test_what_cannot_be_read_is_an_error_and_not_a_guess(payload):
    with pytest.raises(msgspec.MsgspecError):
        read(payload)


@pytest.mark.parametrize(
    ("number", "at", "turn"),
    [
        (5, 12.0, Turn.NEXT),
        (4, 9.0, Turn.AGAIN),
        (4, 10.0, Turn.AGAIN),
        (0, 1.0, Turn.AGAIN),
        (6, 12.0, Turn.AFTER_GAP),
        (0, 11.0, Turn.NEW_LIFE),
        (4, 10.5, Turn.NEW_LIFE),
    ],
)
def test_a_number_and_a_time_say_what_a_batch_is(number, at, turn):
    order = Order()
    order.took(4, 10.0)
    assert order.judge(number, at) is turn


@given(st.lists(st.sampled_from(["hear", "lose", "repeat"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_batch_is_applied_twice_nor_out_of_order(course):
    order, taken, sent = Order(), [], 0
    for kind in course:
        if kind == "repeat":
            heard = range(sent)
        else:
            heard = range(sent, sent + 1) if kind == "hear" else range(0)
            sent += 1
        for number in heard:
            if order.judge(number, float(number + 1)) is Turn.NEXT:
                order.took(number, float(number + 1))
                taken.append(number)
    assert taken == list(range(len(taken)))


class Publisher:
    """A publisher that numbers its batches as it is told, and repeats what it has kept."""

    def __init__(self):
        self.ports = Ports(*free_ports(2))
        self.context = zmq.asyncio.Context()
        self.kept: dict[int, bytes] = {}
        self.asked: list[int] = []
        self.events = self.context.socket(zmq.XPUB)
        self.events.bind(f"tcp://127.0.0.1:{self.ports.events}")
        self.replay = self.context.socket(zmq.ROUTER)
        self.replay.bind(f"tcp://127.0.0.1:{self.ports.replay}")
        self.silent = False
        self.task = asyncio.create_task(self.serve())

    async def serve(self):
        while True:
            client, empty, start = await self.replay.recv_multipart()
            self.asked.append(int.from_bytes(start, "big"))
            if self.silent:
                continue
            for number in sorted(each for each in self.kept if each >= self.asked[-1]):
                await self.replay.send_multipart([client, empty, number.to_bytes(8, "big"), self.kept[number]])
            await self.replay.send_multipart([client, empty, b"\xff" * 8, b""])

    async def listened_to(self):
        """Wait until somebody has subscribed."""
        await self.events.recv()

    async def send(self, number, batch, keep=True):
        if keep:
            self.kept[number] = batch
        await self.events.send_multipart([b"", number.to_bytes(8, "big"), batch])

    async def close(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.context.destroy(0)


class Followed:
    """A publisher, and a feed that follows it through a pool."""

    def __init__(self, seconds):
        self.lines: list[str] = []
        self.publisher = Publisher()
        self.index: Index[Worker] = Index(1000)
        self.feeds = Feeds(self.index, self.publisher.ports, {}, seconds, self.lines.append)
        self.pool = Pool("n")
        self.pool.watch(Role.WORKER, self.feeds)
        self.pool.sync(Role.WORKER, {Address(Role.WORKER, "127.0.0.1", 1)})
        self.worker = self.pool.all()[0]
        self.index.join(self.worker)

    async def until(self, check):
        await rig.until(check, 10)

    async def holds(self, tokens):
        await self.until(lambda: self.index.tokens(WORDS, self.worker) == tokens)


@contextlib.asynccontextmanager
async def followed(seconds=2.0):
    made = Followed(seconds)
    try:
        yield made
    finally:
        await made.feeds.close()
        await made.publisher.close()


def first(at=1.0, blocks=1):
    return encoded(["BlockStored", [1, 2, 3, 4][:blocks], None, WORDS[: 4 * blocks], 4, None, "GPU", None], at=at)


def then(number, at=2.0):
    """Block `number`, after the one before it."""
    tokens = WORDS[4 * (number - 1) : 4 * number]
    return encoded(["BlockStored", [number], number - 1, tokens, 4, None, "GPU", None], at=at)


async def test_a_feed_asks_for_the_past_and_hears_the_present():
    async with followed() as f:
        f.publisher.kept[0] = first()
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        await f.holds(4)
        await f.publisher.send(1, then(2))
        await f.holds(8)
        assert f.publisher.asked == [0]


async def test_what_is_missing_is_asked_for_and_nothing_is_counted_twice():
    async with followed() as f:
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        await f.publisher.send(0, first())
        await f.holds(4)
        f.publisher.kept[1] = then(2)
        await f.publisher.send(2, then(3, at=3.0))
        await f.holds(12)
        await f.publisher.send(3, then(4, at=4.0))
        await f.holds(16)
        assert f.publisher.asked == [0, 1]
        assert (f.feeds.heard.batches, f.feeds.heard.gaps, f.feeds.heard.lost) == (4, 1, 0)


async def test_an_engine_that_counts_from_the_beginning_again_has_lost_all_it_had():
    async with followed() as f:
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        await f.publisher.send(0, first())
        await f.publisher.send(1, then(2))
        await f.holds(8)
        f.publisher.kept.clear()
        await f.publisher.send(0, first(at=50.0))
        await f.holds(4)
        assert f.feeds.heard.lives == 1


async def test_where_repetitions_do_not_come_the_feed_goes_on_with_what_it_hears():
    async with followed(seconds=0.05) as f:
        f.publisher.silent = True
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        await f.publisher.send(0, first())
        await f.holds(4)
        await f.publisher.send(7, encoded(["BlockRemoved", [9], "GPU"], at=3.0))
        await f.holds(0)
        await f.publisher.send(8, first(at=4.0, blocks=2))
        await f.holds(8)
        assert f.feeds.heard.lost == 1


async def test_what_cannot_be_read_costs_what_was_known_and_the_feed_begins_anew():
    async with followed() as f:
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        await f.publisher.send(0, first())
        await f.holds(4)
        await f.publisher.send(1, b"\xff", keep=False)
        await f.until(lambda: f.feeds.heard.bad == 1)
        f.publisher.kept[0] = first(blocks=2)
        await f.holds(8)
        assert "forgotten" in f.lines[0]


async def test_a_worker_that_leaves_is_followed_no_more():
    async with followed() as f:
        f.pool.mark_up(f.worker)
        await f.publisher.listened_to()
        f.pool.mark_down(f.worker)
        assert (await f.publisher.events.recv())[0] == 0
        assert f.feeds._tasks == {}
