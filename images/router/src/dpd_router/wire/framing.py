"""What a head says of its message: how long the body is, what is asked for, and under which id. Bytes in, facts out."""

import re
from functools import lru_cache
from typing import Any

import httptools

from dpd_router.errors import BadRequestError
from dpd_router.stages.stream import ENDS_HERE, named_by_connection

MAX_REQUEST_ID = 128
_LENGTH, _CODING, _HOST, _CONNECTION = b"content-length", b"transfer-encoding", b"host", b"connection"
_ONCE = frozenset({_LENGTH, _CODING, _HOST})
_REQUEST_ID = b"x-request-id"
_FIT = re.compile(rb"[!-~]{1,%d}" % MAX_REQUEST_ID)
_NAMES_NOBODY = frozenset({b"keep-alive", b"close"})
_SHORT = 256
Pairs = list[tuple[bytes, bytes]]


class Headers:
    """A request's headers as they come in: those that end here in `ours` by lower-case name, the rest in `onward`.

    Of a name that comes twice `ours` has the first, `again` the others.
    """

    __slots__ = ("again", "onward", "ours")

    def __init__(self) -> None:
        self.onward: Pairs = []
        self.ours: dict[bytes, bytes] = {}
        self.again: Pairs = []

    def add(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        lower = name.lower()
        if lower not in ENDS_HERE:
            self.onward.append((name, value))
        elif lower in self.ours:
            self.again.append((lower, value))
        else:
            self.ours[lower] = value

    def end_to_end(self) -> Pairs:
        """Return those that go on: none that a Connection header calls its own."""
        told = self.ours.get(_CONNECTION)
        if told is None or (told.lower() in _NAMES_NOBODY and not self.again):
            return self.onward
        named = named_by_connection([(_CONNECTION, told), *self.again])
        return [pair for pair in self.onward if pair[0].lower() not in named]


def check_framing(headers: Headers, version: str) -> int:
    """Return the announced body length, 0 when chunked or none.

    Raises BadRequestError when two readers of the same bytes could see two different messages in them.
    """
    ours = headers.ours
    length, coding = ours.get(_LENGTH), ours.get(_CODING)
    if length is not None and coding is not None:
        raise BadRequestError("Content-Length and Transfer-Encoding exclude each other.", code="bad_framing")
    if headers.again and any(name in _ONCE for name, _ in headers.again):
        raise BadRequestError("A header that frames or addresses the request came twice.", code="bad_framing")
    if coding is not None and (coding.strip().lower() != b"chunked" or version == "1.0"):
        raise BadRequestError("The only transfer coding taken is chunked, under HTTP/1.1.", code="bad_framing")
    if version == "1.1":
        if _HOST not in ours:
            raise BadRequestError("HTTP/1.1 asks for a Host header.", code="bad_framing")
    elif version != "1.0":
        raise BadRequestError("The router speaks HTTP/1.0 and HTTP/1.1.", code="bad_framing")
    if length is None:
        return 0
    if not length.strip().isdigit():
        raise BadRequestError("Content-Length is not a number.", code="bad_framing")
    return int(length)


def target(url: bytes) -> tuple[str, str]:
    """Return the path and the query of a target, the query empty or with its question mark. Raises BadRequestError."""
    return _remembered(url) if len(url) <= _SHORT else _target(url)


def _target(url: bytes) -> tuple[str, str]:
    if any(byte <= 0x20 or byte >= 0x7F for byte in url):
        raise BadRequestError("The target holds bytes that a URL does not.", code="bad_target")
    try:
        parsed: Any = httptools.parse_url(url)  # its types say bytes where None is
    except httptools.HttpParserInvalidURLError:
        raise BadRequestError("The target is not a URL.", code="bad_target") from None
    path = (parsed.path or b"/").decode("ascii")
    query = b"?" + parsed.query if parsed.query else b""
    return path, query.decode("ascii")


_remembered = lru_cache(256)(_target)  # nearly all requests name one of a few


def request_id(headers: Headers) -> str | None:
    """Return the client's own id when it is fit for a header and a log line."""
    value = headers.ours.get(_REQUEST_ID)
    return value.decode("ascii") if value is not None and _FIT.fullmatch(value) else None


def body_framing(headers: Headers, length: int) -> bytes:
    """Return the header that frames the body, empty when there is none."""
    if _CODING in headers.ours:
        return b"transfer-encoding: chunked"
    return b"content-length: %d" % length if length else b""
