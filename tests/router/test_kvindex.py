import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.strategies.kvindex import RECENT, Index
from dpd_router.types import Prompt
from router.team import Team, names

SIZE = 4
WORDS = list(range(100, 140))


def asked(ids):
    return Prompt(len(ids), "lead", exact=True, ids=ids)


def store(index, worker, ids, salt=0):
    """Tell an index of a prompt's blocks as an engine would, with hashes of the engine's own."""
    blocks = [tuple(ids[: end + SIZE]) for end in range(0, len(ids) - SIZE + 1, SIZE)]
    hashes = [hash((salt, block)) for block in blocks]
    index.stored(worker, hashes, None, ids[: len(hashes) * SIZE], SIZE)
    return hashes


def matches(index, ids):
    return [(each.tokens, set(index.workers(each.workers))) for each in index.match(ids)]


def made(*workers, most=10**6):
    index: Index[str] = Index(most)
    for worker in workers:
        index.join(worker)
    return index


def test_the_longest_holder_comes_first_whatever_hash_its_engine_uses():
    index = made("a", "b", "c")
    store(index, "a", WORDS[:8])
    store(index, "b", WORDS[:16], salt=1)
    store(index, "c", [7] * 16)
    assert matches(index, WORDS) == [(16, {"b"}), (8, {"a"})]
    assert index.tokens(WORDS, "b") == 16
    assert index.tokens(WORDS, "c") == 0


def test_only_whole_blocks_count():
    index = made("a")
    store(index, "a", WORDS[:10])
    assert matches(index, WORDS) == [(8, {"a"})]
    assert matches(index, WORDS[:7]) == [(4, {"a"})]
    assert matches(index, WORDS[:3]) == []


def test_a_block_that_is_removed_ends_what_its_worker_holds():
    index = made("a", "b")
    hashes = store(index, "a", WORDS[:16])
    store(index, "b", WORDS[:16])
    index.removed("a", hashes[1:2])
    assert matches(index, WORDS) == [(16, {"b"}), (4, {"a"})]
    index.removed("a", hashes)
    assert matches(index, WORDS) == [(16, {"b"})]
    index.removed("a", [1, 2, 3])


def test_blocks_are_continued_from_their_parent_and_orphans_are_left_out():
    index = made("a")
    hashes = store(index, "a", WORDS[:8])
    index.stored("a", [77], hashes[-1], WORDS[8:12], SIZE)
    assert matches(index, WORDS) == [(12, {"a"})]
    index.stored("a", [78, 79], "never heard of", WORDS[12:20], SIZE)
    assert (index.orphans, matches(index, WORDS)) == (2, [(12, {"a"})])


def test_workers_with_blocks_of_different_sizes_are_compared_in_tokens():
    index = made("a", "b")
    store(index, "a", WORDS[:12])
    index.stored("b", [1], None, WORDS[:16], 16)
    assert matches(index, WORDS) == [(16, {"b"}), (12, {"a"})]


def test_who_leaves_is_forgotten_and_who_comes_next_holds_nothing():
    index = made("a", "b")
    store(index, "a", WORDS)
    store(index, "b", WORDS[:8])
    index.leave("a")
    index.join("c")
    assert matches(index, WORDS) == [(8, {"b"})]
    assert len(index) == 2
    index.clear("b")
    assert (matches(index, WORDS), len(index)) == ([], 0)


def test_an_unknown_worker_is_nobody():
    index = made("a")
    store(index, "x", WORDS)
    index.removed("x", [1])
    index.clear("x")
    index.leave("x")
    assert (len(index), index.tokens(WORDS, "x")) == (0, 0)


@pytest.mark.parametrize("ids", [[1, 2, 3, "x"], [1, 2, 3, -4], [1, 2, 3, 1.5], [1, 2, 3, 2**70], [None] * 4])
def test_a_client_may_send_anything_as_token_ids(ids):
    index = made("a")
    store(index, "a", [1, 2, 3, 4])
    assert index.match(ids) == []


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["store", "remove", "clear", "leave"]), st.integers(0, 5)),
        max_size=60,
    ),
    most=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_it_never_holds_more_than_its_bound_and_never_says_what_an_engine_has_not_told(steps, most):
    index = made("a", "b", "c", most=most)
    told: dict[str, set] = defaultdict(set)
    for worker, kind, number in steps:
        prompt = [number // 2, *range(5), number, *range(9)]
        blocks = {tuple(prompt[: end + SIZE]) for end in range(0, 13, SIZE)}
        if kind == "store":
            store(index, worker, prompt)
            told[worker] |= blocks
        elif kind == "remove":
            index.removed(worker, [hash((0, block)) for block in blocks])
            told[worker] -= blocks
        elif kind == "clear":
            index.clear(worker)
            told[worker].clear()
        else:
            index.leave(worker)
            index.join(worker)
            told[worker].clear()
        assert len(index) <= max(3, most)
        assert len(index._blocks) <= len(index)
        for match in index.match(prompt):
            for holder in index.workers(match.workers):
                assert tuple(prompt[: match.tokens]) in told[holder]


def test_a_newcomer_makes_everybodys_share_smaller_and_beginnings_stay_longest():
    index = made("a", most=20)
    store(index, "a", WORDS)
    assert len(index) == 10
    index.join("b")
    index.join("c")
    assert len(index) == 6
    assert matches(index, WORDS) == [(24, {"a"})]
    store(index, "b", WORDS)
    assert (len(index), index.spared) == (12, 4)


def kvaware(*workers):
    team = Team("kvaware", *workers)
    return team, lambda name, ids: store(team.strategy.index, team.workers[name], ids)


def test_the_holder_is_chosen_and_of_several_the_least_busy():
    team, hold = kvaware("a", "b", "c")
    hold("b", WORDS)
    assert team.first(asked(WORDS)) == "b"
    hold("c", WORDS)
    team.load(a=1, b=2, c=1)
    assert team.rank(asked(WORDS))[:2] == ["c", "b"]


def test_the_longer_holder_is_chosen_though_busier_until_it_has_three_requests_more_than_the_least_busy():
    team, hold = kvaware("a", "b", "c", "d")
    hold("a", WORDS)
    hold("b", WORDS[:8])
    team.load(a=3, b=1, c=2, d=3)
    assert team.first(asked(WORDS)) == "a"
    team.load(a=4)
    assert team.first(asked(WORDS)) == "b"


def test_what_nobody_holds_goes_where_prompts_that_begin_alike_meet():
    team, _ = kvaware("a", "b", "c")
    meeting = Team("prefixaware", "a", "b", "c")
    assert team.rank(asked([9] * 40)) == meeting.rank(asked([9] * 40))
    assert team.rank(Prompt(10, "lead")) == meeting.rank(Prompt(10, "lead"))


def test_how_much_is_held_is_known_and_a_prompts_last_token_is_always_computed():
    team, hold = kvaware("a", "b")
    hold("a", WORDS)
    a, b = team.workers["a"], team.workers["b"]
    assert (team.strategy.held(asked(WORDS[:30]), a), team.strategy.held(asked(WORDS[:30]), b)) == (28, 0)
    assert team.strategy.held(asked(WORDS), a) == 39
    assert team.strategy.held(Prompt(40, ""), a) == 0


def test_of_many_holders_the_least_busy_is_found():
    team, hold = kvaware(*names(200))
    for name in names(150):
        hold(name, WORDS)
    dice = random.Random(3)
    for name in names(200):
        team.load(**{name: dice.randrange(3, 9)})
    team.load(**{names(200)[180]: 0, names(200)[70]: 1})
    assert team.first(asked(WORDS)) == names(200)[70]


def test_blocks_of_a_worker_that_left_choose_nobody():
    team, hold = kvaware("a", "b")
    hold("a", WORDS)
    team.leave("a")
    assert team.rank(asked(WORDS)) == ["b"]
    team.join("a")
    assert team.strategy.held(asked(WORDS), team.workers["a"]) == 0


def test_a_block_whose_beginning_nobody_told_of_is_understood_by_the_prompt_it_stems_from():
    index = made("a", "b")
    for prompt in ([1, 2, 3], WORDS, [7, *WORDS]):
        index.recall(prompt)
    index.stored("a", [1, 2], "long ago", WORDS[12:20], SIZE)
    assert matches(index, WORDS) == [(20, {"a"})]
    index.stored("a", [3], "long ago", [5] * SIZE, SIZE)
    assert matches(index, WORDS[:12] + [5] * SIZE) == [(16, {"a"})]
    index.removed("a", [1])
    assert matches(index, WORDS) == [(12, {"a"})]
    assert index.orphans == 0
    index.stored("b", [9], "long ago, too", [8] * SIZE, SIZE)
    assert index.orphans == 1
    index.clear("a")
    assert len(index) == 0


@pytest.mark.parametrize("prompt", [[0, *WORDS], WORDS[:13] + [4] * 20, WORDS[:12], [], ["x"] * 20])
def test_a_prompt_that_goes_on_otherwise_explains_nothing(prompt):
    index = made("a")
    index.recall(prompt)
    index.stored("a", [1, 2], "long ago", WORDS[12:20], SIZE)
    assert (index.orphans, len(index)) == (2, 0)


def test_few_prompts_are_kept_and_none_twice():
    index = made("a")
    for number in range(300):
        prompt = [number] * SIZE
        index.recall(prompt)
        index.recall(prompt)
    assert len(index._recent) == RECENT


def test_what_all_prompts_begin_with_comes_to_be_held_by_all_and_nobody_stays_idle():
    """Whoever holds it first has it alone only until it has three requests more than somebody else."""
    team = Team("kvaware", *names(8))
    index = team.strategy.index
    system = list(range(400))
    store(index, team.workers[names(8)[0]], system)
    for number in range(64):
        ids = [*system, *range(1000 * number + 1000, 1000 * number + 1040)]
        name = team.first(Prompt(len(ids), f"lead {number}", exact=True, ids=ids))
        team.begin(name)
        store(index, team.workers[name], ids)
    loads = [each.in_flight for each in team.workers.values()]
    assert sum(loads) == 64
    assert max(loads) - min(loads) <= 3
