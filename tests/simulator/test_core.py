import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpd_sim.core import keys, text, tokenizer
from dpd_sim.core.blocks import BlockPool, block_hashes
from dpd_sim.core.local_cache import LocalCache
from dpd_sim.core.pages import PageBuffer, pages_in
from dpd_sim.core.request import Sampling, Sequence
from dpd_sim.core.schedule import Plan, Scheduler
from dpd_sim.core.timing import Timing
from dpd_sim.http.tools import example
from simulator.engines import FOX


def test_the_long_prompt_of_the_documentation_counts_6035_tokens() -> None:
    assert len(tokenizer.chat([("user", FOX * 600)])) == 6035


@pytest.mark.parametrize(
    ("sample", "count"),
    [
        ("hello world", 2),
        ("disaggregated", 3),
        ("dog. ", 3),
        ("12345", 2),
        ("a  b", 3),
        ("\n\n", 1),
        ("naïve café", 2),
        ("日本語", 2),
        ("", 0),
        ("don't", 3),
        ("🎉🎉", 2),
    ],
)
def test_words_marks_digits_and_blanks_are_counted_as_a_tokenizer_would(sample: str, count: int) -> None:
    assert len(tokenizer.encode(sample)) == count


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_comes_back_from_its_tokens(sample: str) -> None:
    ids = tokenizer.encode(sample)
    assert tokenizer.decode(ids) == sample
    assert all(tokenizer.is_token(i) and i < 2**53 for i in ids)


def test_a_special_marker_in_a_message_is_only_text() -> None:
    ids = tokenizer.encode("<|eos|>")
    assert not set(ids) & set(range(len(tokenizer.SPECIALS)))


@pytest.mark.parametrize("value", [-1, 6, 2**48 - 1, 3 << 48, 2**60])
def test_an_id_that_spells_nothing_is_known_as_such(value: int) -> None:
    assert not tokenizer.is_token(value)


def test_each_further_turn_costs_five_tokens() -> None:
    one = tokenizer.chat([("user", "hi")])
    three = tokenizer.chat([("user", "hi"), ("assistant", "hi"), ("user", "hi")])
    assert len(three) - len(one) == 2 * (5 + 1)


def test_what_follows_depends_on_the_tokens_and_the_seed_alone() -> None:
    prompt = tokenizer.chat([("user", "hello")])
    other = tokenizer.chat([("user", "hellp")])

    def says(tokens: list[int], seed: int) -> list[int]:
        sequence = Sequence("r", tokens, Sampling(max_tokens=20, salt=seed), {}, 0.0)
        return [sequence.advance() for _ in range(20)]

    assert says(prompt, 0) == says(prompt, 0)
    assert says(prompt, 0) != says(prompt, 1)
    assert says(prompt, 0) != says(other, 0)


def test_an_answer_goes_on_the_same_when_its_head_is_given_as_prompt() -> None:
    prompt = tokenizer.chat([("user", "hello")])
    whole = Sequence("r", prompt, Sampling(max_tokens=20), {}, 0.0)
    output = [whole.advance() for _ in range(20)]
    rest = Sequence("r", [*prompt, output[0]], Sampling(max_tokens=19), {}, 0.0)
    assert [rest.advance() for _ in range(19)] == output[1:]


def test_every_word_of_the_vocabulary_is_one_token() -> None:
    for token in (*text.FIRST, *text.WORDS, *text.MARKS):
        assert tokenizer.encode(tokenizer.piece(token)) == [token]


def _sampled(**wanted: object) -> Sequence:
    sequence = Sequence("r", tokenizer.chat([("user", "hello")]), Sampling(**{"max_tokens": 400, **wanted}), {}, 0.0)  # type: ignore[arg-type]
    while not sequence.finish:
        sequence.advance()
    return sequence


def test_an_answer_ends_by_itself_unless_told_to_ignore_the_end() -> None:
    short = _sampled(answer_tokens=4)
    assert short.finish == "stop"
    assert len(short.output) < 400
    assert tokenizer.EOS not in short.output[:-1]
    assert _sampled(answer_tokens=4, ignore_eos=True).finish == "length"
    assert len(_sampled(answer_tokens=1, min_tokens=100).output) >= 100


def test_a_stop_string_ends_the_answer_and_is_cut_off() -> None:
    whole = _sampled(max_tokens=30).text
    stop = whole.split()[5]
    cut = _sampled(max_tokens=30, stop=(stop,))
    assert (cut.finish, cut.stop_reason) == ("stop", stop)
    assert cut.text == whole[: whole.index(stop)]


def test_text_that_may_become_a_stop_string_is_held_back() -> None:
    sequence = Sequence("r", [0], Sampling(max_tokens=9, stop=("zzzz",)), {}, 0.0)
    sequence.advance()
    sequence.advance()
    assert sequence.safe_text() == sequence.text[:-3]


# Pages


def test_a_page_is_found_from_its_reservation_until_it_is_taken() -> None:
    buffer = PageBuffer(2)
    at = buffer.reserve("k")
    assert at is not None
    assert "k" in buffer
    buffer.write(at, "k")
    assert buffer.take("k") == "good"
    assert "k" not in buffer
    assert buffer.used == 0


def test_a_page_taken_before_it_was_written_is_garbage() -> None:
    buffer = PageBuffer(1)
    buffer.reserve("k")
    assert buffer.take("k") == "garbage"


def test_a_late_write_spoils_whoever_has_the_page_by_now() -> None:
    buffer = PageBuffer(1)
    at = buffer.reserve("old")
    assert at is not None
    buffer.take("old")
    again = buffer.reserve("new")
    assert again == at
    buffer.write(at, "new")
    buffer.write(at, "old")
    assert buffer.take("new") == "garbage"


def test_a_full_buffer_gives_no_page() -> None:
    buffer = PageBuffer(1)
    buffer.reserve("a")
    assert buffer.reserve("b") is None
    assert "b" not in buffer


def test_a_page_held_twice_is_freed_by_the_second_take() -> None:
    buffer = PageBuffer(1)
    at = buffer.reserve("k")
    assert at is not None
    assert buffer.hold_again("k")
    buffer.write(at, "k")
    assert buffer.take("k") == "good"
    assert (buffer.used, buffer.indexed) == (1, 1)
    assert buffer.reserve("other") is None
    assert buffer.take("k") == "good"
    assert (buffer.used, buffer.indexed) == (0, 0)


def test_a_page_cannot_be_taken_twice() -> None:
    buffer = PageBuffer(1)
    buffer.reserve("k")
    buffer.take("k")
    with pytest.raises(KeyError):
        buffer.take("k")


@given(st.lists(st.tuples(st.sampled_from(["reserve", "take", "again"]), st.sampled_from("abcdef")), max_size=60))
def test_pages_are_never_lost_nor_made(moves: list[tuple[str, str]]) -> None:
    buffer, held = PageBuffer(4), Counter[str]()
    for move, key in moves:
        if move == "reserve" and key not in buffer:
            if buffer.reserve(key) is not None:
                held[key] = 1
        elif move == "again" and buffer.hold_again(key):
            held[key] += 1
        elif move == "take" and key in buffer:
            buffer.take(key)
            held -= Counter([key])
        assert buffer.used == buffer.indexed == len(held)


@pytest.mark.parametrize(
    ("size", "token", "pages"),
    [(8589934592, 40960, 819), (8589934592, 327680, 102), (40960 * 256, 40960, 1), (40960 * 256 - 1, 40960, 0)],
)
def test_a_buffer_has_as_many_pages_as_fit(size: int, token: int, pages: int) -> None:
    assert pages_in(size, token, 256) == pages


# Keys


def test_chunks_cover_a_sequence_and_the_last_is_partial() -> None:
    found = keys.chunks("r", list(range(600)), 256)
    assert [(c.start, c.end) for c in found] == [(0, 256), (256, 512), (512, 600)]
    assert [(c.start, c.end) for c in keys.chunks("r", list(range(600)), 256, partial=False)] == [(0, 256), (256, 512)]


def test_a_chunks_name_covers_everything_before_it() -> None:
    one, two = keys.chunks("r", [1, 2, 3, 4], 2), keys.chunks("r", [9, 2, 3, 4], 2)
    assert one[1].digest != two[1].digest
    assert keys.chunks("r", [1, 2, 3], 2)[0] == one[0]


def test_the_root_is_shared_only_with_a_common_seed() -> None:
    assert keys.root_hash("0") == keys.root_hash("0")
    assert keys.root_hash("0") != keys.root_hash("1")
    assert keys.root_hash(None) != keys.root_hash(None)
    assert keys.root_hash("random") != keys.root_hash("random")


@pytest.mark.parametrize("model", ["m", "/opt/ml/model", "org/name"])
def test_keys_can_be_taken_apart(model: str) -> None:
    keys.check_key(keys.KeySpace(model, 8, "bfloat16").key(3, "ab12", {"p": "uid-1"}))


@pytest.mark.parametrize(("model", "tags"), [("m@1", {}), ("m", {"p": "a@b"}), ("m", {"p": "a%b"})])
def test_an_at_sign_in_a_key_cannot_be_taken_apart(model: str, tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"key|invalid literal"):
        keys.check_key(keys.KeySpace(model, 8, "bfloat16").key(3, "ab12", tags))


# Blocks and schedule


def _scheduler(blocks: int = 1000, seqs: int = 8, budget: int = 100, caching: bool = False) -> Scheduler:
    return Scheduler(BlockPool(blocks, 16, caching), seqs, budget)


def _sequence(name: str, tokens: int, salt: int = 0) -> Sequence:
    return Sequence(name, [salt * 10_000 + i for i in range(tokens)], Sampling(max_tokens=9), {}, 0.0)


def _nothing(sequence: Sequence, local: int) -> int:
    return 0


def _run(scheduler: Scheduler, plan: Plan) -> None:
    for piece in plan.prefills:
        scheduler.done(piece.sequence, piece.new)
        if piece.sequence.computed >= piece.sequence.tokens:
            piece.sequence.output.append(1)
    for sequence in plan.decodes:
        scheduler.done(sequence, 1)
        sequence.output.append(1)


def test_a_long_prompt_is_computed_in_pieces_beside_the_others_decodes() -> None:
    scheduler = _scheduler()
    scheduler.add(_sequence("short", 10))
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.add(_sequence("long", 250))
    plans = []
    for _ in range(3):
        plan = scheduler.plan(_nothing)
        plans.append(([p.new for p in plan.prefills], len(plan.decodes)))
        _run(scheduler, plan)
    assert plans == [([99], 1), ([99], 1), ([52], 1)]


def test_no_more_sequences_run_than_allowed_and_the_rest_wait_in_order() -> None:
    scheduler = _scheduler(seqs=2)
    for name in "abc":
        scheduler.add(_sequence(name, 5))
    plan = scheduler.plan(_nothing)
    assert [s.request_id for s in plan.admitted] == ["a", "b"]
    assert [s.request_id for s in scheduler.waiting] == ["c"]


def test_a_sequence_waits_until_there_are_blocks_for_it() -> None:
    scheduler = _scheduler(blocks=5)
    scheduler.add(_sequence("a", 60))
    scheduler.add(_sequence("b", 30))
    plan = scheduler.plan(_nothing)
    assert [s.request_id for s in plan.admitted] == ["a"]
    _run(scheduler, plan)
    scheduler.remove(plan.admitted[0])
    assert [s.request_id for s in scheduler.plan(_nothing).admitted] == ["b"]


def test_the_youngest_gives_way_when_blocks_run_out_and_is_computed_anew() -> None:
    scheduler = _scheduler(blocks=4)
    scheduler.add(_sequence("a", 31))
    scheduler.add(_sequence("b", 31))
    for _ in range(3):
        _run(scheduler, scheduler.plan(_nothing))
    assert scheduler.preemptions == 1
    assert [s.request_id for s in scheduler.running] == ["a"]
    assert scheduler.waiting[0].computed == 0


def test_a_prompt_seen_before_is_cached_but_for_its_last_token() -> None:
    scheduler = _scheduler(budget=1000, caching=True)
    first = _sequence("a", 64)
    scheduler.add(first)
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.remove(first)
    second = _sequence("b", 64)
    scheduler.add(second)
    plan = scheduler.plan(_nothing)
    assert second.cached == 48
    assert [p.new for p in plan.prefills] == [16]


def test_cached_blocks_are_given_up_when_room_is_needed() -> None:
    scheduler = _scheduler(blocks=4, budget=1000, caching=True)
    first = _sequence("a", 64)
    scheduler.add(first)
    _run(scheduler, scheduler.plan(_nothing))
    scheduler.remove(first)
    scheduler.add(_sequence("other", 60, salt=1))
    assert scheduler.plan(_nothing)
    assert scheduler.pool.cached_tokens(block_hashes(first.prompt, 16), 64) == 0


def test_what_a_connector_brings_is_not_computed() -> None:
    scheduler = _scheduler(budget=1000)
    scheduler.add(_sequence("a", 64))
    plan = scheduler.plan(lambda sequence, local: len(sequence.prompt) - 1 - local)
    assert [(p.before, p.new) for p in plan.prefills] == [(63, 1)]
    assert [(load.local, load.external) for load in plan.loads] == [(0, 63)]


def test_blocks_are_neither_lost_nor_made_in_a_long_random_run() -> None:
    draw = random.Random(7)
    scheduler = _scheduler(blocks=60, seqs=6, budget=64, caching=True)
    live: list[Sequence] = []
    for step in range(600):
        if draw.random() < 0.5:
            sequence = _sequence(f"s{step}", draw.randint(1, 200), salt=draw.randint(0, 3))
            scheduler.add(sequence)
            live.append(sequence)
        _run(scheduler, scheduler.plan(_nothing))
        for sequence in list(live):
            if len(sequence.output) >= 9 or draw.random() < 0.02:
                scheduler.remove(sequence)
                live.remove(sequence)
    for sequence in live:
        scheduler.remove(sequence)
    assert scheduler.pool.free == 60
    assert scheduler.pool.usage == 0


# Timing and caches


def test_a_prefill_in_the_step_makes_every_token_of_the_step_wait() -> None:
    timing = Timing()
    alone = timing.forward([], [1000])
    disturbed = timing.forward([(6000, 0)], [1000])
    assert disturbed > 10 * alone


def test_prefill_grows_faster_than_its_length_when_the_square_counts() -> None:
    timing = Timing(prefill_square=1e-6)
    assert timing.prefill(2000, 0) > 2 * timing.prefill(1000, 0)
    assert timing.prefill(1000, 0) + timing.prefill(1000, 1000) == pytest.approx(timing.prefill(2000, 0), rel=0.3)


def test_the_cpu_cache_drops_what_was_used_longest_ago() -> None:
    cache = LocalCache(2)
    for key in ("a", "b", "a", "c"):
        cache.keep(key)
    assert ("a" in cache, "b" in cache, "c" in cache, len(cache)) == (True, False, True, 2)


# Guided answers


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 3}, 3),
        ({"type": "integer", "minimum": 7}, 7),
        ({"type": "number"}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "string", "minLength": 3}, "aaa"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "a"}),
        ({}, "a"),
    ],
)
def test_a_schema_has_an_example(schema: dict[str, object], value: object) -> None:
    assert example(schema) == value
