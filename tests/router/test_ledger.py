import asyncio

from dpd_router.ledger import Ledger


async def test_an_unlimited_ledger_counts_and_never_waits():
    ledger = Ledger(None)
    assert await ledger.reserve(10**9, 0)
    assert ledger.used == 10**9


async def test_a_full_ledger_lets_in_whoever_came_first():
    ledger, order = Ledger(10), []

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
    ledger = Ledger(10)
    await ledger.reserve(5, 0)
    big = asyncio.create_task(ledger.reserve(9, 0.02))
    small = asyncio.create_task(ledger.reserve(5, 5))
    assert not await big
    assert await small
    assert ledger.used == 10


async def test_who_is_cancelled_takes_no_pages_with_it():
    ledger = Ledger(10)
    await ledger.reserve(10, 0)
    waiting = asyncio.create_task(ledger.reserve(5, 5))
    await asyncio.sleep(0)
    waiting.cancel()
    ledger.release(10)
    await asyncio.gather(waiting, return_exceptions=True)
    assert ledger.used == 0


async def test_who_is_cancelled_just_as_its_turn_came_gives_its_pages_back():
    ledger = Ledger(10)
    await ledger.reserve(10, 0)
    waiting = asyncio.create_task(ledger.reserve(5, 5))
    await asyncio.sleep(0)
    ledger.release(10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert ledger.used == 0
