from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpd_router.tracing.context import place

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


def ids():
    numbers = count(1)
    return lambda size: f"{next(numbers):0{2 * size}x}"


def come(*headers, ratio=1.0):
    return place(headers, ratio, ids()).context


def of(value: bytes):
    return come((b"traceparent", value))


@pytest.mark.parametrize(
    ("flags", "sampled"), [(b"01", True), (b"00", False), (b"03", True), (b"02", False), (b"ff", True)]
)
def test_a_client_says_whether_its_trace_is_recorded(flags, sampled):
    found = of(b"00-%b-%b-%b" % (TRACE, SPAN, flags))
    assert (found.trace_id, found.parent, found.sampled) == (TRACE.decode(), SPAN.decode(), sampled)


def test_a_later_version_of_the_standard_may_say_more():
    assert of(b"cc-%b-%b-01-what-is-to-come" % (TRACE, SPAN)).parent == SPAN.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        b"00-%b-%b" % (TRACE, SPAN),
        b"00-%b-%b-01-more" % (TRACE, SPAN),
        b"ff-%b-%b-01" % (TRACE, SPAN),
        b"00-%b-%b-01" % (TRACE.upper(), SPAN),
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        b"00-%b-%b-0g" % (TRACE, SPAN),
        b"00-%b-%b-01" % (TRACE[:-1], SPAN),
        b"cc-%b-%b-01.more" % (TRACE, SPAN),
    ],
)
def test_what_is_no_traceparent_begins_a_new_trace(value):
    found = of(value)
    assert (found.parent, found.trace_id) == ("", f"{1:032x}")


def test_two_traceparents_are_none():
    value = b"00-%b-%b-01" % (TRACE, SPAN)
    assert come((b"traceparent", value), (b"Traceparent", value)).parent == ""


def test_a_leg_is_told_its_own_span_and_everything_else_as_it_came():
    headers = [(b"Traceparent", b"00-%b-%b-01" % (TRACE, SPAN)), (b"tracestate", b"a=1"), (b"x", b"y")]
    span, told = place(headers, 1, lambda size: "ab" * size).leg()
    assert span == "ab" * 8
    assert told == [(b"x", b"y"), (b"tracestate", b"a=1"), (b"traceparent", b"00-%b-%b-01" % (TRACE, b"ab" * 8))]


def test_the_state_of_a_trace_that_could_not_be_read_goes_with_it():
    headers = [(b"traceparent", b"nonsense"), (b"tracestate", b"a=1")]
    found = place(headers, 1, ids())
    assert found.context.state == ""
    assert [name for name, _ in found.arrived()] == [b"traceparent"]


@given(st.integers(1, 2**128 - 1))
def test_the_ratio_looks_at_the_end_of_the_id_and_never_changes_its_mind(number):
    trace = f"{number:032x}"
    verdicts = [place((), ratio, lambda size: trace[: 2 * size]).context.sampled for ratio in (0.0, 0.25, 0.5, 1.0)]
    assert verdicts == sorted(verdicts)
    assert verdicts[0] is False
    assert verdicts[-1] is True
    assert verdicts[2] == (int(trace[18], 16) < 8)
