"""Heads of engines' answers read without the parser: what is taken is what the parser would have made of it."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpd_router.stages.stream import response_head
from dpd_router.wire.answers import AnswerHead, answer_head

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"content-length: 2\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
EVENTS = b"content-type: text/event-stream\r\n"


class Parsed:
    """What the parser says of an answer; one that it does not take has not ended."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body, self.keep, self.ended = b"", False, False
        self.parser = httptools.HttpResponseParser(self)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.headers, self.ended = [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.keep = self.parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.ended = True

    def all(self, name: bytes) -> list[bytes]:
        return [value.strip() for each, value in self.headers if each.lower() == name]

    @property
    def length(self) -> int | None:
        return int(self.all(b"content-length")[0]) if self.all(b"content-length") else None


TAKEN = {
    "a length": (LENGTH, 2, False),
    "a length in capitals": (b"CONTENT-LENGTH: 2\r\n", 2, False),
    "a length without space": (b"content-length:2\r\n", 2, False),
    "a length with space and tabs": (b"content-length: \t 2 \t\r\n", 2, False),
    "a length with noughts before": (b"content-length: 0002\r\n", 2, False),
    "a long length": (b"content-length: 999999999999999\r\n", 999999999999999, False),
    "chunks": (CHUNKED, None, False),
    "chunks in capitals": (b"Transfer-Encoding:CHUNKED\r\n", None, False),
    "events": (EVENTS + CHUNKED, None, True),
    "events with a charset": (b"Content-Type: Text/Event-Stream; charset=utf-8\r\n" + CHUNKED, None, True),
    "events of a length": (LENGTH + EVENTS, 2, True),
    "JSON": (b"content-type: application/json\r\n" + LENGTH, 2, False),
    "events named elsewhere": (b"accept: text/event-stream\r\n" + LENGTH, 2, False),
    "a connection that is kept": (b"Connection: Keep-Alive\r\n" + LENGTH, 2, False),
    "a connection that is kept, twice": (b"connection: keep-alive\r\n" * 2 + LENGTH, 2, False),
    "how long it is kept": (b"keep-alive: timeout=5\r\n" + LENGTH, 2, False),
    "an empty value": (b"x-a:\r\nx-b: \r\n" + LENGTH, 2, False),
    "bytes beyond ASCII": (b"x-a: \x80\xff\r\n" + LENGTH, 2, False),
    "every character of a name": (b"!#$%&'*+-.^_`|~09azAZ: 1\r\n" + LENGTH, 2, False),
    "names that only look alike": (
        b"x-content-length: 9\r\ncontent_length: 8\r\nchunked: chunked\r\n" + LENGTH,
        2,
        False,
    ),
}


@pytest.mark.parametrize(("lines", "length", "events"), TAKEN.values(), ids=TAKEN)
def test_a_good_answer_whose_end_is_announced_is_taken_as_the_parser_takes_it(lines, length, events):
    data = OK + lines + b"\r\n"
    head = answer_head(data + b"{}")
    assert head is not None
    assert (head.length, head.events, head.end) == (length, events, len(data))
    body = b"{}" if length is not None else b"2\r\n{}\r\n0\r\n\r\n"
    parsed = Parsed(data + body)
    assert (parsed.length, parsed.keep, parsed.body) == (length, True, b"{}")
    assert parsed.ended is (length in (2, None))


LEFT = {
    "no head": b"",
    "part of a line": OK[:-2],
    "a line": OK,
    "part of a head": OK + LENGTH,
    "no headers": OK + b"\r\n",
    "no end": OK + b"content-type: text/plain\r\n\r\nabc",
    "201": b"HTTP/1.1 201 OK\r\n" + LENGTH + b"\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "100": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n{}",
    "500": b"HTTP/1.1 500 OK\r\n" + LENGTH + b"\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n",
    "another phrase": b"HTTP/1.1 200 Fine\r\n" + LENGTH + b"\r\n",
    "a phrase in small letters": b"HTTP/1.1 200 ok\r\n" + LENGTH + b"\r\n",
    "no phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n",
    "a line before": b"\r\n" + OK + LENGTH + b"\r\n",
    "line feeds alone": (OK + LENGTH + b"\r\n").replace(b"\r\n", b"\n"),
} | {
    name: OK + lines + b"\r\n"
    for name, lines in {
        "a length of nothing": b"content-length: 0\r\n",
        "a length of noughts": b"content-length: 000\r\n",
        "an empty length": b"content-length: \r\n",
        "a negative length": b"content-length: -2\r\n",
        "a signed length": b"content-length: +2\r\n",
        "a hexadecimal length": b"content-length: 0x2\r\n",
        "a length with an underscore": b"content-length: 1_0\r\n",
        "a length with a point": b"content-length: 2.0\r\n",
        "a list of lengths": b"content-length: 2, 2\r\n",
        "a length of two numbers": b"content-length: 2 2\r\n",
        "a length in other digits": "content-length: \u0662\r\n".encode(),
        "a length that is too long": b"content-length: 1000000000000000\r\n",
        "a length beyond 64 bits": b"content-length: 99999999999999999999\r\n",
        "two lengths": LENGTH + b"content-length: 3\r\n",
        "one length twice": LENGTH + LENGTH,
        "two lengths, the first nought": b"content-length: 0\r\n" + LENGTH,
        "two lengths, the second nought": LENGTH + b"content-length: 0\r\n",
        "both framings": LENGTH + CHUNKED,
        "both framings, the other order": CHUNKED + LENGTH,
        "both framings, the length nought": b"content-length: 0\r\n" + CHUNKED,
        "both framings, the length nought and behind": CHUNKED + b"content-length: 0\r\n",
        "both framings, the length no number": b"content-length: x\r\n" + CHUNKED,
        "chunks twice": CHUNKED + CHUNKED,
        "a coding with a tab behind": b"transfer-encoding: chunked\t\r\n",
        "a coding with a space behind": b"transfer-encoding: chunked \r\n",
        "another coding": b"transfer-encoding: gzip, chunked\r\n",
        "another coding alone": b"transfer-encoding: gzip\r\n",
        "a coding and a comma": b"transfer-encoding: chunked,\r\n",
        "a coding with a parameter": b"transfer-encoding: chunked;a=b\r\n",
        "a coding that looks like it": b"transfer-encoding: xchunked\r\n",
        "an empty coding": b"transfer-encoding:\r\n" + LENGTH,
        "a connection that ends": b"connection: close\r\n" + LENGTH,
        "a connection that names headers": b"connection: keep-alive, x-a\r\nx-a: 1\r\n" + LENGTH,
        "a connection that says nothing": b"connection:\r\n" + LENGTH,
        "a proxy's connection that ends": b"proxy-connection: close\r\n" + LENGTH,
        "an upgrade": b"upgrade: h2c\r\n" + LENGTH,
        "a trailer": b"trailer: x-a\r\n" + CHUNKED,
        "a folded header": b"x-a: 1\r\n 2\r\n" + LENGTH,
        "a folded length": b"content-length:\r\n 2\r\n",
        "space before a colon": b"content-length : 2\r\n",
        "space before a name": b" x-a: 1\r\n" + LENGTH,
        "no colon": b"x-a\r\n" + LENGTH,
        "no name": b": 1\r\n" + LENGTH,
        "a name that is none": b"x(a): 1\r\n" + LENGTH,
        "a name beyond ASCII": b"x-\xe4: 1\r\n" + LENGTH,
        "NUL": b"x-a: \0\r\n" + LENGTH,
        "a control character": b"x-a: \x7f\r\n" + LENGTH,
        "a carriage return alone": b"x-a: 1\rcontent-length: 2\r\n",
        "a line feed alone": b"x-a: 1\ncontent-length: 2\r\n",
    }.items()
}


@pytest.mark.parametrize("data", LEFT.values(), ids=LEFT)
def test_any_other_answer_is_left_to_the_parser(data):
    assert answer_head(data) is None


def test_what_ends_here_is_not_told_and_the_rest_is_as_it_was_spelled():
    ends_here = b"Connection: keep-alive\r\nkeep-alive: timeout=5\r\nX-Request-ID: a\r\nx-dpd-decision: b\r\nte: c\r\n"
    head = answer_head(OK + b"X-A:  1 \r\n" + ends_here + b"X-A: 2\r\nServer: uvicorn\r\nContent-Length: 2\r\n\r\n{}")
    assert head is not None
    assert head.told == OK + b"X-A: 1 \r\nX-A: 2\r\nServer: uvicorn\r\nContent-Length: 2\r\n"


NAMES = [
    "content-length",
    "Content-Length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "content-type",
    "x-a",
    "Te",
]
VALUES = [
    "2",
    "0",
    "02",
    "12",
    "chunked",
    "Chunked",
    "keep-alive",
    "close",
    "text/event-stream",
    "",
    "a b",
    "2,2",
    "\xe4",
]
SPACE = st.sampled_from(["", " ", "\t", "  "])
LINE = st.tuples(st.sampled_from(NAMES), SPACE, st.sampled_from(VALUES), SPACE).map(
    lambda parts: f"{parts[0]}:{parts[1]}{parts[2]}{parts[3]}\r\n".encode("latin-1")
)


@settings(max_examples=600, deadline=None)
@given(st.lists(LINE, max_size=5))
def test_no_answer_is_taken_that_the_parser_reads_in_another_way(lines):
    data = OK + b"".join(lines) + b"\r\n"
    head = answer_head(data)
    if head is None:
        return
    body = b"2\r\n{}\r\n0\r\n\r\n" if head.length is None else b"x" * head.length
    parsed = Parsed(data + body)
    assert (parsed.ended, parsed.keep, parsed.length) == (True, True, head.length)
    assert parsed.body == (b"{}" if head.length is None else body)
    said = response_head(200, parsed.headers, "", keep_alive=True)
    assert said.startswith(head.told + b"x-request-id")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_a_damaged_head_is_left_or_still_the_parsers(damage, at):
    whole = OK + EVENTS + b"connection: keep-alive\r\n" + LENGTH + b"\r\n"
    data = whole[: at % len(whole)] + damage + whole[at % len(whole) :]
    head = answer_head(data)
    if isinstance(head, AnswerHead) and head.length is not None and head.length < 10_000:
        parsed = Parsed(data[: head.end] + b"x" * head.length)
        assert (parsed.ended, parsed.length, parsed.keep) == (True, head.length, True)
