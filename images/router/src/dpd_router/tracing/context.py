"""Where a request stands in a trace, as W3C Trace Context writes it into headers. Pure: ids are given."""

import re
from collections.abc import Callable

import msgspec

from dpd_router.types import Headers

PARENT, STATE = b"traceparent", b"tracestate"
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_BITS = 56  # of a trace's id are random in every generation of the standard: the last ones

NewId = Callable[[int], str]


class Context(msgspec.Struct, frozen=True):
    """One request's place: ids in hexadecimal. `parent` is the client's span, empty when the trace begins here."""

    trace_id: str
    span_id: str
    sampled: bool
    parent: str = ""
    state: str = ""

    def onward(self, headers: Headers, span_id: str) -> Headers:
        """Return the headers of a leg whose span is `span_id`; its `tracestate` is the client's."""
        told = f"00-{self.trace_id}-{span_id}-{int(self.sampled):02x}".encode()
        dropped = (PARENT,) if self.parent else (PARENT, STATE)
        return [*(pair for pair in headers if pair[0].lower() not in dropped), (PARENT, told)]


def context(headers: Headers, ratio: float, new_id: NewId) -> Context:
    """Return the place of a request that comes with `headers`; `new_id` gives an id of so many bytes.

    A client's trace is continued, recorded or not as its caller decided. Of the others a share of `ratio` is recorded.
    """
    parents = [value for name, value in headers if name.lower() == PARENT]
    found = _parsed(parents[0]) if len(parents) == 1 else None
    if found is None:
        trace_id = new_id(16)
        return Context(trace_id, new_id(8), sampled=_chosen(trace_id, ratio))
    trace_id, parent, sampled = found
    states = [value for name, value in headers if name.lower() == STATE]
    return Context(trace_id, new_id(8), sampled, parent, b",".join(states).decode("latin-1"))


def _chosen(trace_id: str, ratio: float) -> bool:
    return int(trace_id, 16) % 2**_BITS < ratio * 2**_BITS


def _parsed(value: bytes) -> tuple[str, str, bool] | None:
    """Return trace, span and whether it is recorded; None for what is no `traceparent`."""
    found = _FORM.fullmatch(value.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more) or not (trace_id.strip(b"0") and span_id.strip(b"0")):
        return None
    return trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED)
