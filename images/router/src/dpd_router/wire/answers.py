"""Heads of engines' answers, read line by line: an engine writes the same lines again and again.

Only what an answer mostly is: a 200 whose end is announced. Anything else is left to the parser.
"""

import re
from enum import IntEnum
from functools import lru_cache

import msgspec

from dpd_router.stages.stream import ANSWERED_ANEW

OK = b"HTTP/1.1 200 OK\r\n"
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_END = b"\r\n\r\n"
_MOST = 512


class _Kind(IntEnum):
    """What a line means. ODD: nothing that we understand without the parser."""

    TOLD = 0
    DROPPED = 1
    LENGTH = 2
    CHUNKED = 3
    EVENTS = 4
    ODD = 5


class _Line(msgspec.Struct, frozen=True):
    """A line as the client gets it, empty for one that it does not get; of a length, the number."""

    kind: _Kind
    told: bytes = b""
    length: int = -1


class AnswerHead(msgspec.Struct, frozen=True):
    """A 200's head: its lines for the client, the body's length or None where it comes in chunks, and where it begins.

    `events`: it is a stream of events.
    """

    told: bytes
    length: int | None
    events: bool
    end: int


@lru_cache(_MOST)
def _read(line: bytes) -> _Line:
    """Return what a line is; asked for the same few again and again, and for a new date every second."""
    parts = _LINE.fullmatch(line)
    if parts is None:
        return _Line(_Kind.ODD)
    name, value = parts[1].lower(), parts[2].rstrip(b" \t")
    told = b"%b: %b\r\n" % (parts[1], value)
    if name == b"content-length":
        return _Line(_Kind.LENGTH, told, int(value)) if value.isdigit() and len(value) < 16 else _Line(_Kind.ODD)
    if name == b"transfer-encoding":
        return _Line(_Kind.CHUNKED, told) if value.lower() == b"chunked" else _Line(_Kind.ODD)
    if name == b"content-type" and value.lower().startswith(b"text/event-stream"):
        return _Line(_Kind.EVENTS, told)
    if name == b"connection":
        return _Line(_Kind.DROPPED if value.lower() == b"keep-alive" else _Kind.ODD)
    if name in _ODD_NAMES:
        return _Line(_Kind.ODD)
    return _Line(_Kind.DROPPED) if name in ANSWERED_ANEW else _Line(_Kind.TOLD, told)


_ODD_NAMES = frozenset({b"upgrade", b"trailer"})


def answer_head(data: bytes) -> AnswerHead | None:
    """Return the head that `data` begins with; None where that is not a plain 200 whose body has an announced end."""
    end = data.find(_END)
    if end < 0 or not data.startswith(OK):
        return None
    told, length, chunked, events = [OK], None, False, False
    for line in data[len(OK) : end].split(b"\r\n"):
        found = _read(line)
        kind = found.kind
        if kind is _Kind.ODD:
            return None
        if kind is _Kind.LENGTH:
            if length is not None:
                return None
            length = found.length
        elif kind is _Kind.CHUNKED:
            if chunked:
                return None
            chunked = True
        elif kind is _Kind.EVENTS:
            events = True
        told.append(found.told)
    if chunked == (length is not None) or length == 0:
        return None
    return AnswerHead(b"".join(told), length, events, end + len(_END))
