import asyncio

import uvloop

from dpd_router.tidy import SPARE_HANDLES, Spares, Tidy, trimmer


async def test_memory_is_given_back_when_most_connections_have_gone_and_not_for_a_few():
    trims = []
    tidy = Tidy(lambda: trims.append(1))
    seen = [await tidy.look(count) for count in (5, 99, 0, 400, 300, 101, 100, 90, 0, 0)]
    assert seen == [False] * 6 + [True, False, True, False]
    assert len(trims) == 2


def test_the_c_library_is_asked_where_it_can():
    trimmer()()


def test_what_a_crowd_s_timers_left_for_reuse_is_let_go_for_good():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(crowded())


async def crowded():
    loop, spares = asyncio.get_running_loop(), Spares()
    await spares.swap()
    crowd = [loop.call_later(60, print) for _ in range(4 * SPARE_HANDLES)]
    places = set(map(id, crowd))
    for each in crowd:
        each.cancel()
    del crowd, each
    await asyncio.sleep(0.01)  # the loop keeps the last ones now
    again = [loop.call_later(60, print) for _ in range(8)]
    assert places & set(map(id, again)), "this loop keeps nothing for reuse"
    for each in again:
        each.cancel()
    del again, each
    await asyncio.sleep(0.01)
    await spares.swap()
    assert len(places & set(map(id, spares._held))) < SPARE_HANDLES / 10
