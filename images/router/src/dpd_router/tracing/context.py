"""Where a request stands in a trace, as W3C Trace Context writes it into headers. Pure: ids are given."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dpd_router.types import Headers

PARENT, STATE = b"traceparent", b"tracestate"
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_MOST = 1 << 56  # so many values have the bits of a trace's id that are random by the standard: the last ones

NewId = Callable[[int], str]


class Context(msgspec.Struct, frozen=True):
    """Hexadecimal ids of a request's trace and span; `parent` is the client's, empty when the trace begins here."""

    trace_id: str
    span_id: str
    sampled: bool
    parent: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A request's context, its headers without the client's place, and where its legs' spans get their ids."""

    context: Context
    headers: Headers
    new_id: NewId

    def arrived(self) -> Headers:
        """Return the headers with the request's own span in the place of the client's."""
        return self._naming(self.context.span_id)

    def leg(self) -> tuple[str, Headers]:
        """Return the id of a new leg's span, and the headers that name it to an engine."""
        span_id = self.new_id(_SPAN_BYTES)
        return span_id, self._naming(span_id)

    def _naming(self, span_id: str) -> Headers:
        told = f"00-{self.context.trace_id}-{span_id}-{self.context.sampled:02x}"
        return [*self.headers, (PARENT, told.encode())]


def place(headers: Headers, ratio: float, new_id: NewId) -> Place:
    """Return the place of a request that comes with `headers`; `new_id` gives an id of so many bytes.

    A client's trace is continued, recorded or not as its caller decided. Of the others a share of `ratio` is recorded.
    """
    kept, parents, states = _sorted(headers)
    found = _parsed(parents[0]) if len(parents) == 1 else None
    if found is None:
        trace_id = new_id(_TRACE_BYTES)
        return Place(Context(trace_id, new_id(_SPAN_BYTES), _chosen(trace_id, ratio)), kept, new_id)
    trace_id, parent, sampled = found
    kept += [(STATE, each) for each in states]
    state = b",".join(states).decode("latin-1")
    return Place(Context(trace_id, new_id(_SPAN_BYTES), sampled, parent, state), kept, new_id)


def _sorted(headers: Headers) -> tuple[list[tuple[bytes, bytes]], list[bytes], list[bytes]]:
    """Return the headers that are about no trace, and the values of the two that are."""
    kept, parents, states = [], [], []
    for pair in headers:
        name = pair[0].lower()
        if name == PARENT:
            parents.append(pair[1])
        elif name == STATE:
            states.append(pair[1])
        else:
            kept.append(pair)
    return kept, parents, states


def _chosen(trace_id: str, ratio: float) -> bool:
    return int(trace_id, 16) % _MOST < ratio * _MOST


def _parsed(value: bytes) -> tuple[str, str, bool] | None:
    """Return trace, span and whether it is recorded; None for what is no `traceparent`."""
    found = _FORM.fullmatch(value.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more) or not (trace_id.strip(b"0") and span_id.strip(b"0")):
        return None
    return trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED)
