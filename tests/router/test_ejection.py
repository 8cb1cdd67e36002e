"""Passive health, in the pool alone: what counts, what does not, and how a suspect comes back."""

import pytest

from dpd_router.ejection import Ejection
from dpd_router.pool import Address, Pool, Role

SETTINGS = Ejection(failures=3, base=10, longest=60, share=0.5)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Watched:
    def __init__(self):
        self.said = []

    def joined(self, worker):
        self.said.append(f"+{worker.address.host}")

    def left(self, worker):
        self.said.append(f"-{worker.address.host}")

    def touched(self, worker):
        pass


def made(*hosts, settings=SETTINGS):
    clock = Clock()
    pool = Pool("n", ejection=settings, clock=clock)
    pool.sync(Role.DECODE, {Address(Role.DECODE, host, 1) for host in hosts})
    for each in pool.all():
        pool.mark_up(each)
    return pool, clock, {each.address.host: each for each in pool.all()}


def fail(pool, worker, times=3):
    for number in range(times):
        pool.failed(worker, b"request %d" % number)


def ready(pool):
    return sorted(each.address.host for each in pool.ready(Role.DECODE))


def test_a_worker_that_fails_several_requests_in_a_row_is_left_alone():
    pool, _, at = made("a", "b")
    watched = Watched()
    pool.watch(Role.DECODE, watched)
    fail(pool, at["a"], 2)
    assert ready(pool) == ["a", "b"]
    fail(pool, at["a"])
    assert ready(pool) == ["b"]
    assert watched.said == ["+a", "+b", "-a"]
    assert pool.ejections[Role.DECODE] == 1


def test_one_bad_request_takes_nobody_away_however_often_it_comes():
    pool, _, at = made("a", "b")
    for _ in range(100):
        pool.answered(at["a"], 500, b"the same")
        pool.answered(at["b"], 500, b"the same")
    assert ready(pool) == ["a", "b"]


@pytest.mark.parametrize("status", [200, 400, 404, 422, 429])
def test_an_answer_between_is_an_end_to_the_row_and_a_clients_own_mistake_is_an_answer(status):
    pool, _, at = made("a", "b")
    for number in range(20):
        pool.failed(at["a"], b"%d" % number)
        pool.answered(at["a"], status, b"other")
    assert ready(pool) == ["a", "b"]


def test_the_last_one_is_never_left_alone_nor_more_than_the_share():
    pool, _, at = made("a")
    fail(pool, at["a"], 50)
    assert ready(pool) == ["a"]
    pool, _, at = made("a", "b", "c", "d")
    for worker in at.values():
        fail(pool, worker)
    assert len(ready(pool)) == 2


def test_a_suspect_is_better_than_nobody():
    pool, _, at = made("a", "b")
    fail(pool, at["a"])
    pool.mark_down(at["b"])
    assert ready(pool) == ["a"]
    pool.mark_up(at["b"])
    assert ready(pool) == ["b"]


def test_after_its_time_a_suspect_is_given_one_request_and_is_back_when_that_succeeds():
    pool, clock, at = made("a", "b")
    fail(pool, at["a"])
    clock.now += 12.1  # ten seconds and the fifth that chance may add
    pool.review()
    assert ready(pool) == ["a", "b"]
    with pool.flight(at["a"]):
        assert ready(pool) == ["b"], "one at a time"
        pool.answered(at["a"], 200, b"x")
    assert ready(pool) == ["a", "b"]
    with pool.flight(at["a"]):
        assert ready(pool) == ["a", "b"]


def test_a_suspect_that_fails_again_waits_twice_as_long():
    pool, clock, at = made("a", "b")
    fail(pool, at["a"])
    clock.now += 12.1
    pool.review()
    with pool.flight(at["a"]):
        pool.failed(at["a"], b"x")
    assert ready(pool) == ["b"]
    clock.now += 15.9
    pool.review()
    assert ready(pool) == ["b"]
    clock.now += 8.2
    pool.review()
    assert ready(pool) == ["a", "b"]


def test_a_trial_whose_client_leaves_says_nothing_and_makes_room_for_another():
    pool, clock, at = made("a", "b")
    fail(pool, at["a"])
    clock.now += 12.1
    pool.review()
    with pool.flight(at["a"]):
        pass
    assert ready(pool) == ["a", "b"]
    with pool.flight(at["a"]):
        assert ready(pool) == ["b"]


def test_what_was_long_ago_is_forgotten():
    pool, clock, at = made("a", "b")
    fail(pool, at["a"])
    clock.now += 200
    pool.review()
    with pool.flight(at["a"]):
        pool.answered(at["a"], 200, b"x")
    assert at["a"].suspicion.times == 0


def test_an_ejection_is_never_longer_than_the_longest_and_never_the_same_for_two():
    assert SETTINGS.seconds(1, 0.0) == pytest.approx(8)
    assert SETTINGS.seconds(1, 1.0) == pytest.approx(12)
    assert SETTINGS.seconds(50, 0.5) == 60


def test_passive_health_can_be_turned_off():
    pool, _, at = made("a", "b", settings=Ejection(failures=0))
    fail(pool, at["a"], 50)
    assert ready(pool) == ["a", "b"]


def test_a_worker_that_rests_keeps_what_it_has_and_is_given_nothing():
    pool, _, at = made("a", "b")
    addresses = {each.address for each in pool.all()}
    at["a"].ledger.used = 3
    pool.sync(Role.DECODE, addresses, {at["a"].address})
    assert ready(pool) == ["b"]
    pool.sync(Role.DECODE, addresses)
    assert ready(pool) == ["a", "b"]
    assert at["a"].ledger.used == 3


def test_another_life_at_the_same_address_has_another_tag():
    pool = Pool("n")
    tags = []
    for uid in ("u1.0", "u1.1", "u2.0"):
        pool.sync(Role.PREFILL, {Address(Role.PREFILL, "a", 1, uid=uid)})
        tags.append(pool.tag(pool.all()[0]))
    assert len(set(tags)) == 3
