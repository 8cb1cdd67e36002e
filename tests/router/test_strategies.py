import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.stages.estimate import estimate
from dpd_router.strategies import NAMES, leastload
from dpd_router.strategies.base import Queue, load
from dpd_router.strategies.popular import KNOWN, POPULAR, WINDOW, Popular
from dpd_router.strategies.prefixaware import STRAYS, PrefixAware
from dpd_router.strategies.ring import key_of
from router.team import Seen, Team, names, session, text

FOUR = ["a", "b", "c", "d"]
KEYS = st.text(max_size=40)


def prompts(count: int, seed: int = 7) -> list:
    dice = random.Random(seed)
    return [text("".join(dice.choices("abcdefgh ", k=5000))) for _ in range(count)]


def chat(system, *texts):
    roles = ["user", "assistant"] * len(texts)
    said = [{"role": role, "content": content} for role, content in zip(roles, texts, strict=False)]
    return estimate({"messages": [{"role": "system", "content": system}, *said]})


def test_prompts_that_begin_alike_go_to_the_same_worker():
    team = Team("prefixaware", *FOUR)
    for prompt in prompts(50):
        assert team.first(prompt) == team.first(text(prompt.lead + "another end"))


@pytest.mark.parametrize("name", ["prefixaware", "session"])
@given(names=st.sets(st.integers(0, 10**6), min_size=1, max_size=30), key=KEYS, dice=st.randoms())
@settings(max_examples=60, deadline=None)
def test_routers_that_never_talk_agree_whatever_the_order_they_learnt_the_workers_in(name, names, key, dice):
    """And whoever came and went before."""
    here = [f"w{number}" for number in sorted(names)]
    there = [*here]
    dice.shuffle(there)
    one, other = Team(name, *here), Team(name, "gone", *there)
    other.first(session("x"))
    other.leave("gone")
    prompt = session(key) if name == "session" else text(key)
    assert one.rank(prompt) == other.rank(prompt)


@pytest.mark.parametrize("name", ["prefixaware", "session"])
@given(count=st.integers(2, 12), gone=st.integers(0, 11), keys=st.lists(KEYS, min_size=20, max_size=20, unique=True))
@settings(max_examples=40, deadline=None)
def test_a_worker_that_goes_moves_only_its_own_keys_and_takes_them_back_when_it_returns(name, count, gone, keys):
    everyone = names(count)
    loser = everyone[gone % count]
    team = Team(name, *everyone)
    asked = [session(f"s{key}") if name == "session" else text(key) for key in keys]
    before = [team.first(each) for each in asked]
    team.leave(loser)
    without = [team.first(each) for each in asked]
    assert all(after == was for was, after in zip(before, without, strict=True) if was != loser)
    team.join(loser)
    assert [team.first(each) for each in asked] == before


def test_one_worker_more_takes_about_its_share_of_sessions_and_no_other_moves():
    team, sessions = Team("session", *names(9)), [session(f"user-{i}") for i in range(2000)]
    before = [team.first(each) for each in sessions]
    team.join("new")
    after = [team.first(each) for each in sessions]
    moved = [now for was, now in zip(before, after, strict=True) if was != now]
    assert set(moved) == {"new"}
    assert 0.05 < len(moved) / 2000 < 0.2


@pytest.mark.parametrize("count", [2, 3, 10, 100])
def test_keys_spread_evenly(count):
    team = Team("session", *names(count))
    counts = Counter(team.first(session(f"user-{i}")) for i in range(100 * count))
    assert len(counts) == count
    assert max(counts.values()) < 170


@given(loads=st.lists(st.integers(0, 40), min_size=1, max_size=20), key=KEYS)
@settings(max_examples=100, deadline=None)
def test_no_prefix_makes_a_worker_busier_than_a_quarter_beyond_the_mean(loads, key):
    team = Team("prefixaware", *names(len(loads)))
    for name, count in zip(names(len(loads)), loads, strict=True):
        team.load(**{name: count})
    chosen = team.workers[team.first(text(key))]
    assert chosen.in_flight + 1 <= -(-5 * (sum(loads) + 1) // (4 * len(loads)))


def test_a_prefix_that_everybody_sends_fills_no_worker_beyond_its_share():
    team, prompt = Team("prefixaware", *names(100)), text("the same words")
    for _ in range(1000):
        team.begin(team.first(prompt))
    assert max(each.in_flight for each in team.workers.values()) <= 13


def test_a_worker_within_its_share_keeps_its_prompts():
    team, prompt = Team("prefixaware", *FOUR), prompts(1)[0]
    favourite = team.first(prompt)
    team.load(**dict.fromkeys(FOUR, 3))
    assert team.first(prompt) == favourite


def test_a_worker_beyond_its_share_is_asked_last():
    team, prompt = Team("prefixaware", *FOUR), prompts(1)[0]
    favourite = team.first(prompt)
    team.load(**{favourite: 8})
    assert team.rank(prompt)[-1] == favourite


def test_a_session_stays_however_busy_its_worker_is():
    team = Team("session", *FOUR)
    favourite = team.first(session("ada"))
    team.load(**{favourite: 50})
    assert team.first(session("ada")) == favourite


def test_a_request_without_a_session_goes_to_the_least_busy():
    team = Team("session", *FOUR)
    team.load(a=2, b=1, c=3, d=2)
    assert team.rank() == ["b", "a", "d", "c"]


@pytest.mark.parametrize(
    ("popular", "length", "counted"),
    [
        (0, 10, 10),
        (0, 1024, 1024),
        (0, 1500, 1024),
        (0, 9000, 1024),
        (1024, 9000, 2048),
        (2048, 9000, 4096),
        (3000, 9000, 4096),
        (4096, 4500, 4500),
        (4096, 9000, 9000),
    ],
)
def test_the_shortest_beginning_that_is_not_popular_makes_the_key(popular, length, counted):
    """`popular` characters have been sent by everybody."""
    seen = Popular()
    for number in range(200):
        seen.cut("a" * popular + f"{number:04}" * 1500 if popular else f"{number:04}" * 1500, 8)
    asked = "a" * popular + "b" * (length - popular)
    assert seen.cut(asked, 8)[0] == key_of(asked[:counted])


def test_a_beginning_is_popular_with_half_of_one_workers_part_and_stays_so_with_a_quarter():
    seen = Popular()
    kinds = ["often"] + [f"w{number}" for number in range(15)]  # a sixteenth of the requests, of eight workers
    for number in range(1024):
        what = seen.cut(kinds[number % 16] if number % 16 == 0 else f"{number}", 8)[1]
        if number and number % 16 == 0:
            assert what == (POPULAR if number >= 16 * 7 else KNOWN)
    for number in range(4096):
        seen.cut("often" if number % 30 == 0 else f"later {number}", 8)
    assert seen.cut("often", 8)[1] == POPULAR
    for number in range(8192):
        seen.cut(f"much later {number}", 8)
    assert seen.cut("often", 8)[1] != POPULAR


def test_conversations_behind_one_long_system_prompt_stay_apart_and_each_with_its_worker():
    team, system = Team("prefixaware", *FOUR), "You are a helpful assistant. " * 200
    opened = [chat(system, f"Question {number}") for number in range(200)]
    for each in opened:
        team.first(each)
    first = [team.first(each) for each in opened]
    assert max(Counter(first).values()) < 80
    grown = [chat(system, f"Question {number}", "An answer", "And then?") for number in range(200)]
    assert [team.first(each) for each in grown] == first


def test_routers_that_see_alike_halves_of_the_traffic_come_to_the_same():
    """What is just about popular may be so for one router and not yet for the other; here nothing is."""
    dice = random.Random(5)
    heads = [prompt.lead for prompt in prompts(42)]
    weights = [40, 20, *[1] * 40]
    asked = [chat(dice.choices(heads, weights)[0], f"Task {number % 900}") for number in range(6000)]
    one, other = Team("prefixaware", *names(8)), Team("prefixaware", *names(8))
    for number, each in enumerate(asked):
        (one if number % 2 else other).first(each)
    assert [one.first(each) for each in asked[:1000]] == [other.first(each) for each in asked[:1000]]


def test_what_was_too_much_for_its_worker_goes_again_to_who_had_it():
    team, prompt = Team("prefixaware", *FOUR), prompts(1)[0]
    favourite, second = team.rank(prompt)[:2]
    team.load(**{favourite: 8})
    assert team.first(prompt) == second
    team.load(**{favourite: 1, second: 0})
    assert team.first(prompt) == second


def test_who_had_a_prompt_may_have_two_requests_more_than_its_share_and_not_three():
    team, prompt = Team("prefixaware", *FOUR), prompts(1)[0]
    favourite = team.first(prompt)
    team.load(**dict.fromkeys(FOUR, 1))
    bound = 2  # a quarter more than (4 + 1) / 4, rounded up
    team.load(**{favourite: bound + 1})
    assert team.first(prompt) == favourite
    team.load(**{favourite: bound + 3})
    assert team.first(prompt) != favourite


def test_what_is_remembered_of_prompts_is_bounded():
    strategy: PrefixAware[Seen] = PrefixAware()
    team = Team(strategy, *FOUR)
    for number in range(20_000):
        prompt = text(f"prompt {number}")
        worker = team.first(prompt)
        team.load(**{worker: 9})
        team.first(prompt)
        team.load(**{worker: 0})
    assert len(strategy._strays) == 4 * STRAYS
    assert len(strategy._popular._counts) < 4 * WINDOW[0]


def test_half_a_character_is_hashed_like_any_text():
    assert len(Team("prefixaware", *FOUR).rank(text("\ud800"))) == 4
    assert len(Team("session", *FOUR).rank(session("\ud800"))) == 4


def test_roundrobin_takes_turns_and_a_new_worker_is_next():
    team = Team("roundrobin", Seen("a", last_used=3), Seen("b", last_used=1), Seen("c", last_used=2))
    assert team.rank() == ["b", "c", "a"]
    team.join("d")
    assert team.first() == "d"


def test_leastload_takes_the_idle_one_and_among_equals_the_one_unused_the_longest():
    workers = [Seen("a", 1, 1), Seen("b", 0, 5), Seen("c", 0, 4)]
    assert Team("leastload", *workers).rank() == ["c", "b", "a"]
    assert [each.name for each in leastload(workers)] == ["c", "b", "a"]


@pytest.mark.parametrize("name", NAMES)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), max_size=60), most=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_whatever_happens_the_best_are_distinct_workers_that_are_there_and_fit(name, steps, most):
    team, everyone = Team(name), [f"w{i}" for i in range(8)]
    for kind, at in steps:
        worker = everyone[at]
        if worker not in team.workers:
            team.join(worker)
        elif kind == 0:
            team.leave(worker)
        elif kind == 1 and team.workers[worker].in_flight:
            team.end(worker)
        else:
            team.begin(worker)
    here = set(team.workers) - {"w0"}
    found = team.rank(text("x"), most, lambda each: each.name != "w0")
    assert len(found) == len(set(found)) == min(most, len(here))
    assert set(found) <= here


@pytest.mark.parametrize(("name", "key"), [("leastload", lambda w: (w.in_flight, w.last_used)), ("roundrobin", None)])
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=80))
@settings(max_examples=40, deadline=None)
def test_an_order_that_is_kept_is_the_one_that_sorting_gives(name, key, steps):
    team = Team(name, *(f"w{i}" for i in range(7)))
    for begins, at in steps:
        if begins or not team.workers[f"w{at}"].in_flight:
            team.begin(f"w{at}")
        else:
            team.end(f"w{at}")
    by = key or (lambda w: w.last_used)
    assert team.rank() == [each.name for each in sorted(team.workers.values(), key=lambda w: (by(w), w.name))]


@pytest.mark.parametrize("name", NAMES)
def test_nobody_there_is_nobody_chosen(name):
    assert Team(name).rank() == []


def test_what_is_remembered_grows_with_the_workers_and_not_with_the_requests():
    queue, workers = Queue(load), [Seen(name) for name in FOUR]
    for number in range(3000):
        workers[number % 4].last_used = number
        queue.put(workers[number % 4])
    assert len(queue._heap) <= 2 * len(FOUR) + 16
    assert queue.first(1) == [workers[0]]


def test_a_worker_that_stands_first_leaves_nothing_old_behind_when_it_moves():
    queue, worker = Queue(load), Seen("a")
    for number in range(10):
        worker.last_used = number
        queue.put(worker)
    assert queue._heap == [(load(worker), 10, worker)]
