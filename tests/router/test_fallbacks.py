import asyncio

import pytest

from dpd_router.errors import UnavailableError
from dpd_router.fallbacks import Fallbacks


async def started(work):
    """Return work as a task that has come as far as it can."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_places_are_given_up_to_the_cap_for_each_decoder():
    made = Fallbacks(2, queue=0)
    for _ in range(4):
        await made.take(2)
    with pytest.raises(UnavailableError, match="compute as many as they may") as refused:
        await made.take(2)
    assert (refused.value.code, refused.value.retry_after, made.refused) == ("fallbacks_exhausted", 5, 1)


async def test_who_finds_no_place_waits_for_one_in_order():
    made = Fallbacks(1)
    first = await made.take(1)
    second, third = await started(made.take(1)), await started(made.take(1))
    assert (made.waiting, made.active) == (2, 1)
    first.free()
    first.free()
    slot = await second
    assert (made.waiting, made.active, third.done()) == (1, 1, False)
    slot.free()
    (await third).free()
    assert (made.waiting, made.active, made.refused) == (0, 0, 0)


async def test_a_decoder_that_came_back_makes_room_for_who_waits():
    made = Fallbacks(1)
    await made.take(1)
    waiting = await started(made.take(1))
    also = await started(made.take(3))
    await asyncio.gather(waiting, also)
    assert made.active == 3


async def test_nobody_waits_longer_than_configured_or_in_a_full_queue():
    made = Fallbacks(1, queue=1, seconds=0.01)
    slot = await made.take(1)
    waiting = await started(made.take(1))
    for late in (made.take(1), waiting):
        with pytest.raises(UnavailableError):
            await late
    slot.free()
    assert (made.waiting, made.active, made.refused) == (0, 0, 2)


async def test_without_any_place_nobody_waits():
    with pytest.raises(UnavailableError):
        await Fallbacks(0, seconds=3600).take(2)


async def test_whoever_is_cancelled_while_waiting_holds_nothing():
    made = Fallbacks(1)
    slot = await made.take(1)
    waiting, next_one = await started(made.take(1)), await started(made.take(1))
    slot.free()  # the turn has come, and its task is cancelled before it knows
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    (await next_one).free()
    assert (made.waiting, made.active) == (0, 0)
