import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpd_sim.core import text, tokenizer
from dpd_sim.core.local_cache import LocalCache
from dpd_sim.core.request import Sampling, Sequence
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
