"""A reader of requests and all that can be seen of it, beside one that remembers no head."""

import itertools
from collections import namedtuple
from typing import Any
from unittest.mock import patch

from dpd_router.ask import Admission
from dpd_router.errors import UnauthorizedError
from dpd_router.wire.held import Held
from dpd_router.wire.reader import LESSONS, Limits, RequestReader

LIMITS = Limits(head_bytes=2048, body_bytes=300)
LINE = b"POST /v1/completions?a=b HTTP/1.1\r\n"
HOST = b"host: r\r\n"
BODY = b'{"prompt":"a"}'
Asked = namedtuple("Asked", ["method", "path", "query", "headers", "body", "request_id", "caller", "alias"])


class Reading:
    """A reader and all that can be seen of it. Without `learns` it is one that knows no head."""

    def __init__(self, *, learns, admissions=(), most=None, limits=LIMITS, admit=None):
        numbers = itertools.count()
        self.admitted: list[tuple[str, list[tuple[bytes, bytes]]]] = []
        self.requests: list[tuple[Any, ...]] = []
        outcomes = iter(admissions)

        def admits(path, headers):
            self.admitted.append((path, list(headers)))
            kind = next(outcomes, "in")
            small = 20 if kind in ("small", "out") else None
            refusal = UnauthorizedError("No.", code="no") if kind == "out" else None
            kept = [*headers, (b"x-kind", b"in")] if kind == "other" else headers
            return Admission(kept, kind, small, refusal)

        self.held, self.known = Held(most), 0
        with patch("dpd_router.wire.reader.LESSONS", LESSONS if learns else 0):
            self.reader = RequestReader(limits, lambda: f"made-{next(numbers)}", admit or admits, self.held)

    def feed(self, data, *, gives=True):
        for each in self.reader.feed(data):
            refusal = each.refusal and (each.refusal.status, each.refusal.code, each.refusal.message)
            asked = Asked(*(getattr(each.ask, name) for name in Asked._fields))
            self.requests.append((asked, each.http_1_0, each.keep_alive, refusal))
            self.known += each.known is not None
            if gives:
                self.held.give(len(each.ask.body))

    def state(self):
        reader, error = self.reader, self.reader.error
        told = error and (error.status, error.code, error.message)
        flags = (reader.busy, reader.in_head, reader.closing, reader.continue_owed)
        return self.requests, self.admitted, told, flags, self.held.now, self.held.refused


def alike(pieces, **given):
    """Feed both kinds of reader and return the one that learns; they must not differ after any piece."""
    one, other = Reading(learns=True, **given), Reading(learns=False, **given)
    for number, piece in enumerate(pieces):
        for each in (one, other):
            each.feed(piece, gives=number % 3 != 1)
        assert one.state() == other.state()
    assert other.known == 0
    return one


def post(body=BODY, length=None, name=b"content-length", before=b"", behind=b"", line=LINE):
    told = b"%d" % len(body) if length is None else length
    return line + HOST + before + name + b": " + told + b"\r\n" + behind + b"\r\n" + body
