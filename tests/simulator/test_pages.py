from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpd_sim.core import keys
from dpd_sim.core.pages import PageBuffer, pages_in


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
