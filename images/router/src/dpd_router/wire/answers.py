"""Heads of engines' answers, read line by line: an engine writes the same lines again and again.

Only what an answer mostly is: a 200 whose end is announced. Anything else is left to the parser.
"""

import re
from functools import lru_cache
from typing import Final

from dpd_router.stages.stream import ANSWERED_ANEW

OK: Final = b"HTTP/1.1 200 OK\r\n"
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_END: Final = b"\r\n\r\n"
_MOST, _HEADS = 512, 64
_DIGITS = 15
# Names that mean something for the message or its connection: with any other value than those above they are odd.
_MEANING = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade", b"trailer"}
)


class AnswerHead:
    """A 200's head: its lines for the client, the body's length or None where it comes in chunks, and where it begins.

    `events`: it is a stream of events.
    """

    __slots__ = ("end", "events", "length", "told")

    def __init__(self, told: bytes, length: int | None, end: int, *, events: bool) -> None:
        self.told: Final = told
        self.length: Final = length
        self.end: Final = end
        self.events: Final = events


# What a line means; ODD: nothing that we understand without the parser.
_TOLD, _LENGTH, _CHUNKED, _EVENTS, _ODD = range(5)


@lru_cache(_MOST)
def _read(line: bytes) -> tuple[int, bytes, int]:
    """Return what a line is, as the client gets it, and of a length the number.

    It is asked for the same few again and again, and for a new date every second.
    """
    parts = _LINE.fullmatch(line)
    if parts is None:
        return _ODD, b"", 0
    name, value = parts[1].lower(), parts[2].rstrip(b" \t")
    told, lower = b"%b: %b\r\n" % (parts[1], parts[2]), value.lower()
    if name == b"content-length" and value.isdigit() and len(value) <= _DIGITS and int(value):
        return _LENGTH, told, int(value)
    if name == b"transfer-encoding" and parts[2].lower() == b"chunked":  # parsers differ about space behind it
        return _CHUNKED, told, 0
    if name == b"content-type" and lower.startswith(b"text/event-stream"):
        return _EVENTS, told, 0
    if name in _MEANING and (name != b"connection" or lower != b"keep-alive"):
        return _ODD, b"", 0
    return _TOLD, b"" if name in ANSWERED_ANEW else told, 0


def answer_head(data: bytes) -> AnswerHead | None:
    """Return the head that `data` begins with; None where that is not a plain 200 whose body has an announced end."""
    end = data.find(_END)
    return _of_lines(data[:end]) if end > 0 and data.startswith(OK) else None


@lru_cache(_HEADS)
def _of_lines(head: bytes) -> AnswerHead | None:
    """Return what a head says; streams that begin in one second mostly have the same."""
    told, length, chunked, events = [OK], 0, 0, False
    for line in head[len(OK) :].split(b"\r\n"):
        kind, text, number = _read(line)
        told.append(text)
        if kind == _TOLD:
            continue
        if kind == _ODD or (kind == _LENGTH and length):
            return None
        length += number
        chunked += kind == _CHUNKED
        events = events or kind == _EVENTS
    if chunked + (length > 0) != 1:
        return None
    return AnswerHead(b"".join(told), length or None, len(head) + len(_END), events=events)
