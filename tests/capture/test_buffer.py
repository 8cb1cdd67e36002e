import threading
import time

import pytest

from capture_buffer import Buffer, Limits

LIMITS = Limits(records=3, seconds=60, held=100, bytes_=50)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def buffer(clock: Clock) -> Buffer:
    return Buffer(LIMITS, clock)


def lines(buffer: Buffer) -> list[bytes] | None:
    batch = buffer.take()
    return batch.lines if batch else None


def test_a_full_batch_is_due(buffer: Buffer) -> None:
    assert [buffer.add(each) for each in (b"a", b"b", b"c", b"d")] == [True] * 4
    assert lines(buffer) == [b"a", b"b", b"c"]


def test_a_batch_of_many_bytes_is_due(buffer: Buffer) -> None:
    buffer.add(b"a" * 50)
    assert lines(buffer) == [b"a" * 50]


def test_an_old_batch_is_due_however_small(buffer: Buffer, clock: Clock) -> None:
    buffer.add(b"a")
    clock.now = 60
    assert lines(buffer) == [b"a"]


def test_whoever_waits_for_a_batch_wakes_when_it_is_old_enough() -> None:
    buffer = Buffer(Limits(records=3, seconds=0.05, held=100, bytes_=50), time.monotonic)
    threading.Timer(0.05, buffer.add, [b"a"]).start()
    assert lines(buffer) == [b"a"]


def test_what_finds_no_room_is_refused_until_something_is_stored(buffer: Buffer) -> None:
    assert buffer.add(b"a" * 60)
    assert not buffer.add(b"b" * 60)
    batch = buffer.take()
    assert batch is not None
    assert not buffer.add(b"b" * 60), "a batch that is under way still takes memory"
    buffer.stored(batch)
    assert buffer.held == 0
    assert buffer.add(b"b" * 60)


def test_in_a_hurry_everything_is_due_at_once(buffer: Buffer) -> None:
    buffer.add(b"a")
    buffer.hurry()
    buffer.add(b"b")
    assert [lines(buffer), lines(buffer)] == [[b"a"], [b"b"]]


def test_a_closed_buffer_takes_nothing_and_gives_what_is_left(buffer: Buffer) -> None:
    buffer.add(b"a")
    buffer.close()
    assert not buffer.add(b"b")
    assert [lines(buffer), lines(buffer)] == [[b"a"], None]
