"""Heads of requests that came before: a client sends the same one again and again, but for the length of its body.

A head is known by its bytes before and behind the number that Content-Length gives. Whoever sends these very bytes
again means what they meant the first time, when the parser read them; only the number is read anew.
"""

import re
from dataclasses import dataclass
from typing import Final

from dpd_router.stages.stream import joined
from dpd_router.types import Headers

MOST_BYTES = 2048
MOST_HEADS = 512
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=[ \t]*\r\n)", re.IGNORECASE)
_END = b"\r\n\r\n"
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One head: its bytes around the number, and what the parser made of it. `told` are the headers as an engine gets
    them; `request_id` is the client's own, if it sends one."""

    begin: bytes
    rest: bytes
    path: str
    query: str
    headers: Headers
    told: bytes
    request_id: str | None

    def body(self, data: bytes) -> bytes | None:
        """Return the body of a request that is whole and has this head, None for any other bytes."""
        start = len(self.begin)
        end = data.find(b"\r", start, start + _DIGITS + 1)
        if end < 0 or not data.startswith(self.rest, end) or not data.startswith(self.begin):
            return None
        digits, body = data[start:end], data[end + len(self.rest) :]
        return body if digits.isdigit() and int(digits) == len(body) else None


class Heads:
    """The heads that all connections have in common, so that each needs no copy of its own."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], Known] = {}

    def learn(
        self, data: bytes, path: str, query: str, headers: Headers, body: bytes, request_id: str | None
    ) -> Known | None:
        """Return the head of a request that was read from `data`, None for one that is not worth it."""
        end = data.find(_END) + len(_END)
        found = _LENGTH.search(data, 0, min(end, MOST_BYTES))
        if end > MOST_BYTES or found is None or data[end:] != body:
            return None
        begin, rest = data[: found.start(1)], data[found.end(1) : end]
        known = self._known.get((begin, rest))
        if known is None:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            known = Known(begin, rest, path, query, list(headers), joined(headers), request_id)
            self._known[begin, rest] = known
        return known
