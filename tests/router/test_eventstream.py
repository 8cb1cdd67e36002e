"""The encoding of event streams, read back by botocore's own parser."""

import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from dpd_router.sagemaker.eventstream import MAX_PART, exception, headers, message, parts

NAMES = st.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) <= 255)
TEXTS = st.text(max_size=200)


def read(data, cut=1 << 16):
    """What botocore makes of these bytes, given to it in pieces of `cut`."""
    buffer = EventStreamBuffer()
    for at in range(0, len(data), cut):
        buffer.add_data(data[at : at + cut])
        yield from buffer


@given(st.dictionaries(NAMES, TEXTS, max_size=8), st.binary(max_size=4096), st.integers(1, 64))
def test_a_message_is_read_back_as_it_was_however_it_is_cut(pairs, payload, cut):
    (event,) = read(message(headers(pairs), payload), cut)
    assert (event.headers, event.payload) == (pairs, payload)


@given(st.lists(st.binary(max_size=600), max_size=20), st.integers(1, 4096))
def test_pieces_of_an_answer_are_parts_of_a_payload_in_their_order(pieces, cut):
    events = list(read(b"".join(parts(piece) for piece in pieces), cut))
    assert [event.payload for event in events] == [piece for piece in pieces if piece]
    assert {event.headers[":event-type"] for event in events} <= {"PayloadPart"}
    assert {event.headers[":message-type"] for event in events} <= {"event"}


@given(TEXTS, TEXTS)
def test_an_exception_is_read_back_with_its_members(text, code):
    (event,) = read(exception("ModelStreamError", {"Message": text, "ErrorCode": code}))
    found = event.to_response_dict()
    assert found["status_code"] == 400, "an exception"
    assert found["headers"][":exception-type"] == "ModelStreamError"
    assert json.loads(found["body"]) == {"Message": text, "ErrorCode": code}


def test_a_piece_that_is_too_large_for_readers_becomes_several_parts():
    piece = bytes(range(256)) * (2 * MAX_PART // 256) + b"end"
    events = list(read(parts(piece)))
    assert [len(event.payload) for event in events] == [MAX_PART, MAX_PART, 3]
    assert b"".join(event.payload for event in events) == piece


def test_nothing_is_no_part():
    assert parts(b"") == b""
