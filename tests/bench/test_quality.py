"""The simulation of strategies: what must hold whatever chance brings. Small runs; the figures are bench.quality's."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.bars import Bar
from bench.quality.fleet import Cache
from bench.quality.play import Outcome, play
from bench.quality.players import ORACLE
from bench.quality.shapes import SHAPES, Shape, Spread
from bench.quality.traffic import BLOCK, conversations
from bench.quality.verdict import OURS, judged
from dpd_router.strategies import NAMES

REQUESTS, PREFILLERS, SEED = 300, 4, 11
# Users who hardly pause, so that a short run has conversations from their beginning to their end.
QUICK = [replace(each, pause=Spread(0.05, 0.1), answer=Spread(1, 0.1)) for each in SHAPES]
BY_NAME = {each.name: each for each in QUICK}


@pytest.fixture(scope="module")
def played() -> dict[tuple[str, str], Outcome]:
    return {
        (shape.name, name): play(shape, name, PREFILLERS, SEED, REQUESTS)
        for shape in QUICK
        for name in (ORACLE, *NAMES)
    }


def test_nobody_finds_more_than_one_endless_cache_for_all_would_hold(played: dict[tuple[str, str], Outcome]) -> None:
    for outcome in played.values():
        assert 0 <= outcome.hit <= outcome.possible < outcome.tokens


@pytest.mark.parametrize("shape", BY_NAME)
def test_the_oracle_finds_more_than_who_looks_at_load_alone(shape: str, played: dict[tuple[str, str], Outcome]) -> None:
    assert played[shape, ORACLE].hit > max(played[shape, name].hit for name in ("roundrobin", "leastload"))


def test_every_request_that_is_counted_is_somebodys(played: dict[tuple[str, str], Outcome]) -> None:
    for outcome in played.values():
        assert sum(outcome.requests) == len(outcome.firsts) > 0
        assert min(outcome.firsts) > 0
        assert outcome.request_imbalance >= 1
        assert outcome.work_imbalance >= 1


def test_with_one_prefiller_all_strategies_are_the_same() -> None:
    one = [play(QUICK[0], name, 1, SEED, 60) for name in (ORACLE, *NAMES)]
    assert all(each == one[0] for each in one)


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    first, again, other = (play(QUICK[1], OURS, 2, seed, 80) for seed in (1, 1, 2))
    assert first == again != other


def test_routers_that_never_talk_still_serve_every_request() -> None:
    outcome = play(QUICK[2], OURS, PREFILLERS, SEED, 120, routers=3)
    assert sum(outcome.requests) == len(outcome.firsts)


@pytest.mark.parametrize("shape", QUICK, ids=BY_NAME)
def test_a_conversation_only_grows_and_its_lead_is_that_of_every_turn(shape: Shape) -> None:
    spoken = conversations(replace(shape, turns=4.0), SEED, 40)
    assert sum(len(each.turns) for each in spoken) >= 40
    for each in spoken:
        texts = [each.blocks(turn) for turn in range(len(each.turns))]
        assert [len(text) for text in texts] == [turn.tokens // BLOCK for turn in each.turns]
        assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(texts))
        leads = {each.prompt(turn, texts[turn]).lead for turn in range(len(each.turns))}
        assert len(leads) == 1


def test_conversations_share_their_head_and_nothing_else() -> None:
    one, other, *_ = conversations(BY_NAME["chats"], SEED, 40)
    shared = set(one.blocks(0)) & set(other.blocks(0))
    assert shared == set(one.head) != set()


def test_a_cache_holds_beginnings_and_loses_what_was_unused_the_longest_ends_first() -> None:
    cache = Cache(4)
    assert cache.keep([1, 2, 3]) == []
    assert cache.held([1, 2, 3, 4]) == 3
    assert cache.held([9, 8]) == 0
    assert cache.keep([7, 8]) == [3]
    assert cache.held([1, 2, 3]) == 2
    cache.keep([1])
    assert cache.keep([5, 6]) == [2, 8]


def test_of_the_workloads_the_worst_is_judged_seed_by_seed() -> None:
    good = Outcome(tokens=100, hit=50, requests=[1, 1], busy=[1.0, 1.0])
    poor = replace(good, hit=40)
    uneven = replace(good, busy=[3.0, 1.0])
    found = {(shape.name, name, 2): [good, good] for shape in SHAPES for name in (OURS, ORACLE)}
    found["agents", OURS, 2] = [poor, good]
    found["chats", OURS, 2] = [good, uneven]
    hits, load = judged(found, [2])
    assert [round(each) for each in hits.values] == [20, 0]
    assert list(load.values) == [1.0, 1.5]
    assert not hits.met
    assert isinstance(load, Bar)
