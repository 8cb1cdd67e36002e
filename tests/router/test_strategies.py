import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from dpd_router.strategies import NAMES, Strategy, leastload, strategy_named
from dpd_router.strategies.prefixaware import leading_blocks, prefixaware
from dpd_router.strategies.roundrobin import roundrobin


@dataclass(frozen=True)
class Seen:
    name: str
    in_flight: int = 0
    last_used: int = 0


def prompts(count: int, seed: int = 7) -> list[str]:
    dice = random.Random(seed)
    return ["".join(dice.choices("abcdefgh ", k=5000)) for _ in range(count)]


FOUR = [Seen(f"10.0.0.{i}:8081") for i in range(4)]


def test_prompts_that_begin_alike_go_to_the_same_worker():
    for prompt in prompts(50):
        assert prefixaware(prompt[:4096], FOUR)[0] == prefixaware(prompt[:4100] + "another end", FOUR)[0]


def test_routers_that_never_talk_agree_whatever_the_order_they_learnt_the_workers_in():
    for prompt in prompts(50):
        assert prefixaware(prompt, FOUR) == prefixaware(prompt, FOUR[::-1])


def test_different_prompts_spread_over_the_workers():
    counts = Counter(prefixaware(prompt, FOUR)[0].name for prompt in prompts(400))
    assert set(counts) == {each.name for each in FOUR}
    assert min(counts.values()) > 50


def test_a_worker_that_goes_moves_only_its_own_prompts():
    for prompt in prompts(200):
        before = prefixaware(prompt, FOUR)[0]
        after = prefixaware(prompt, FOUR[1:])[0]
        assert after == before or before == FOUR[0]


def test_a_worker_beyond_its_share_is_asked_last():
    prompt = prompts(1)[0]
    favourite = prefixaware(prompt, FOUR)[0]
    busy = [replace(each, in_flight=8 if each == favourite else 0) for each in FOUR]
    assert prefixaware(prompt, busy)[-1].name == favourite.name


def test_a_worker_within_its_share_keeps_its_prompts():
    prompt = prompts(1)[0]
    favourite = prefixaware(prompt, FOUR)[0]
    loaded = [replace(each, in_flight=3) for each in FOUR]
    assert prefixaware(prompt, loaded)[0].name == favourite.name


@pytest.mark.parametrize(
    ("length", "counted"), [(0, 0), (10, 10), (1023, 1023), (1024, 1024), (1500, 1024), (4096, 4096), (9000, 4096)]
)
def test_whole_leading_blocks_make_the_key(length, counted):
    assert len(leading_blocks("a" * length)) == counted


def test_a_lone_surrogate_in_a_prompt_is_hashed_like_any_text():
    assert len(prefixaware("\ud800", FOUR)) == 4


def test_roundrobin_takes_turns_and_a_new_worker_is_next():
    first = [Seen("a", last_used=3), Seen("b", last_used=1), Seen("c", last_used=2)]
    assert [each.name for each in roundrobin("", first)] == ["b", "c", "a"]
    assert roundrobin("", [*first, Seen("d")])[0].name == "d"


def test_leastload_takes_the_idle_one_and_among_equals_the_one_unused_the_longest():
    seen = [Seen("a", 1, 1), Seen("b", 0, 5), Seen("c", 0, 4)]
    assert [each.name for each in leastload(seen)] == ["c", "b", "a"]


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_orders_all_candidates_and_takes_none(name):
    strategy: Strategy[Seen] = strategy_named(name)
    assert sorted(each.name for each in strategy("x", FOUR)) == [each.name for each in FOUR]
    assert strategy("x", []) == []
