import asyncio

import pytest

from dpd_router.ledger import Buffers, Ledger


async def test_an_unlimited_ledger_counts_and_never_waits():
    ledger = Ledger(Buffers())
    assert await ledger.reserve(10**9, 0)
    assert ledger.used == 10**9


async def test_a_full_ledger_lets_in_whoever_came_first():
    ledger, order = Ledger(Buffers(10)), []

    async def take(name, pages):
        assert await ledger.reserve(pages, 5)
        order.append(name)

    assert await ledger.reserve(8, 0)
    big, small = asyncio.create_task(take("big", 9)), asyncio.create_task(take("small", 1))
    await asyncio.sleep(0.01)
    assert order == [], "the small one would fit, and would starve the big one"
    ledger.release(8)
    await asyncio.gather(big, small)
    assert order == ["big", "small"]
    assert ledger.used == 10


async def test_who_gives_up_makes_way_for_the_next():
    ledger = Ledger(Buffers(10))
    await ledger.reserve(5, 0)
    big = asyncio.create_task(ledger.reserve(9, 0.02))
    small = asyncio.create_task(ledger.reserve(5, 5))
    assert not await big
    assert await small
    assert ledger.used == 10


async def test_who_is_cancelled_takes_no_pages_with_it():
    ledger = Ledger(Buffers(10))
    await ledger.reserve(10, 0)
    waiting = asyncio.create_task(ledger.reserve(5, 5))
    await asyncio.sleep(0)
    waiting.cancel()
    ledger.release(10)
    await asyncio.gather(waiting, return_exceptions=True)
    assert ledger.used == 0


async def test_who_is_cancelled_just_as_its_turn_came_gives_its_pages_back():
    ledger = Ledger(Buffers(10))
    await ledger.reserve(10, 0)
    waiting = asyncio.create_task(ledger.reserve(5, 5))
    await asyncio.sleep(0)
    ledger.release(10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert ledger.used == 0


async def test_too_many_that_wait_turn_away_who_comes_next():
    ledger = Ledger(Buffers(10, queue=1))
    await ledger.reserve(10, 0)
    waiting = asyncio.create_task(ledger.reserve(1, 5))
    await asyncio.sleep(0)
    assert ledger.waiting == 1
    assert not await ledger.reserve(1, 5)
    ledger.release(10)
    assert await waiting
    assert ledger.waiting == 0


async def test_a_router_reserves_no_more_than_its_share():
    ledger = Ledger(Buffers(100, routers=3, surge=1))
    assert ledger.capacity == 25
    assert await ledger.reserve(25, 0)
    assert not await ledger.reserve(1, 0)


async def test_lost_pages_are_taken_from_every_share_and_come_back():
    ledger = Ledger(Buffers(100, routers=2))
    ledger.lost = 21
    assert ledger.capacity == 39
    assert not await ledger.reserve(40, 0)
    waiting = asyncio.create_task(ledger.reserve(40, 5))
    await asyncio.sleep(0)
    ledger.lost = 0
    ledger.admit()
    assert await waiting
    ledger.lost = 1000
    assert ledger.capacity == 0


async def test_while_nobody_knows_what_a_page_weighs_one_transfer_is_let_in_at_a_time():
    buffers = Buffers(size=1000)
    ledger = Ledger(buffers)
    assert (buffers.limited, ledger.capacity) == (True, None)
    assert await ledger.reserve(999, 0)
    second = asyncio.create_task(ledger.reserve(1, 5))
    await asyncio.sleep(0)
    assert ledger.waiting == 1
    ledger.release(999)
    assert await second
    assert buffers.learn(30)
    assert (ledger.capacity, buffers.learn(30)) == (33, False)


def test_what_was_configured_is_not_learned_over():
    buffers = Buffers(50, 1000)
    assert not buffers.learn(1)
    assert buffers.share() == 50
    assert not Buffers().learn(10), "without a size there is nothing to count"


def test_room_shrinks_never_grows_and_goes_back_once():
    ledger = Ledger(Buffers())
    ledger.used = 10
    room = ledger.room(10)
    room.keep(4)
    room.keep(8)
    assert ledger.used == 4
    room.free()
    room.free()
    assert ledger.used == 0


async def test_the_high_mark_is_of_the_time_since_it_was_asked():
    ledger = Ledger(Buffers())
    await ledger.reserve(7, 0)
    ledger.release(5)
    assert [ledger.high(), ledger.high()] == [7, 2]


@pytest.mark.parametrize(
    ("buffers", "weight"),
    [(Buffers(), None), (Buffers(pages=4), None), (Buffers(size=4096), None), (Buffers(pages=4, size=4096), 1024)],
)
def test_what_a_page_weighs_is_known_when_both_the_buffer_and_its_pages_are(buffers, weight):
    assert buffers.page_bytes == weight


def test_an_engine_shows_what_a_page_weighs():
    buffers = Buffers(size=4096)
    assert buffers.learn(512)
    assert buffers.page_bytes == 512
