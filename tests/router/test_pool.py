import asyncio
import contextlib

from dpd_router.pool import Address, Ledger, Pool, Role


def prefill(*hosts):
    return {Address(Role.PREFILL, host, 8081) for host in hosts}


def pool(*hosts):
    made = Pool("n")
    made.sync(Role.PREFILL, prefill(*hosts))
    return made


def test_a_new_worker_takes_nothing_until_it_is_known_to_be_well():
    p = pool("a")
    assert p.ready(Role.PREFILL) == []
    p.mark_up(p.all()[0])
    assert [each.name for each in p.ready(Role.PREFILL)] == ["a:8081"]


def test_a_worker_that_stays_keeps_its_state_and_one_that_goes_takes_no_more():
    p = pool("a", "b")
    a, b = p.all()
    p.mark_up(a)
    p.mark_up(b)
    p.sync(Role.PREFILL, prefill("a", "c"))
    assert [each.name for each in p.all()] == ["a:8081", "c:8081"]
    assert a.up
    assert not b.up
    p.mark_up(b)
    assert not b.up, "a health check that was under way brings no worker back"


def test_roles_are_kept_apart():
    p = pool("a")
    p.sync(Role.DECODE, {Address(Role.DECODE, "a", 8081, (1,), (2,))})
    assert len(p.all()) == 2
    p.sync(Role.DECODE, set())
    assert [each.address.role for each in p.all()] == [Role.PREFILL]


def test_a_worker_that_failed_comes_back_under_another_tag():
    p = pool("a")
    worker = p.all()[0]
    p.mark_up(worker)
    before = p.tag(worker)
    p.mark_down(worker)
    p.mark_down(worker)
    p.mark_up(worker)
    assert (before, p.tag(worker)) == ("a:8081/n.0", "a:8081/n.1")


def test_routers_do_not_share_tags_and_a_tag_has_no_at_sign():
    address = Address(Role.PREFILL, "user@host", 1)
    tags = set()
    for nonce in ("x", "y"):
        p = Pool(nonce)
        p.sync(Role.PREFILL, {address})
        tags.add(p.tag(p.all()[0]))
    assert len(tags) == 2
    assert not any("@" in tag for tag in tags)


def test_an_ipv6_worker_is_named_with_brackets():
    assert pool("fd00::1").all()[0].name == "[fd00::1]:8081"


def test_requests_in_flight_are_counted_also_when_they_fail():
    p = pool("a")
    worker = p.all()[0]
    with contextlib.suppress(ValueError), p.flight(worker):
        assert worker.in_flight == 1
        raise ValueError
    assert (worker.in_flight, worker.last_used) == (0, 1)


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
