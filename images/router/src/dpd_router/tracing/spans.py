"""A request's list of events, turned into spans once it has ended. Pure: ids are given, times are the events' own."""

from collections.abc import Callable

import msgspec

from dpd_router.stages.observe import observe
from dpd_router.tracing.context import Context, NewId
from dpd_router.types import End, Event, Reason, Step

_OK, _SERVER_ERROR = 200, 500
_FAILED = (End.UPSTREAM_DIED, End.UNAVAILABLE, End.ROUTER_ERROR)

Attributes = dict[str, str | int | float | bool]


class Span(msgspec.Struct):
    """One span. Times in seconds on the events' clock; `error` says why it failed, None when it did not.

    `leg`: it is a call of a worker. `notes` are what happened within: a name, a time and attributes.
    """

    name: str
    span_id: str
    parent: str
    start: float
    end: float
    attributes: Attributes
    leg: bool = False
    error: str | None = None
    notes: list[tuple[str, float, Attributes]] = []


def spans(place: Context, events: list[Event], new_id: NewId) -> list[Span]:
    """Return a request's spans, its own first; the first event is ACCEPTED and the last ENDED."""
    telling = _Telling(place, events, new_id)
    for event in events:
        take = _TAKERS.get(event.step)
        if take is not None:
            take(telling, event)
    return [telling.root, *telling.done]


class _Telling:
    """Spans as they come. One is open at a time; what a prefill was worth may show only after it."""

    def __init__(self, place: Context, events: list[Event], new_id: NewId) -> None:
        record, last = observe(events), events[-1]
        begun = events[0].detail
        attributes: Attributes = {
            "http.request.method": record.method,
            "url.path": record.path,
            "http.response.status_code": record.status,
            "http.request.body.size": record.bytes_in,
            "http.response.body.size": record.bytes_out,
            "dpd.request_id": begun["request_id"],
            "dpd.path": record.route.value,
            "dpd.reason": record.reason.value,
            "dpd.end": record.end.value,
        }
        more = {"key": record.caller, "code": record.code, "prefiller": record.prefiller, "decoder": record.decoder}
        attributes |= {f"dpd.{name}": value for name, value in more.items() if value}
        bad = record.end in _FAILED or record.status >= _SERVER_ERROR
        self.root = Span(
            name=f"{record.method} {record.path}",
            span_id=place.span_id,
            parent=place.parent,
            start=events[0].at,
            end=last.at,
            attributes=attributes,
            error=(record.code or record.end.value) if bad else None,
            notes=[],
        )
        self.done: list[Span] = []
        self._new_id = new_id
        self._open: Span | None = None
        self._prefill: Span | None = None
        self._end: End = last.detail["end"]

    def open(self, name: str, at: float, span_id: str = "", leg: bool = False, **attributes: str | int) -> None:
        """Begin a span."""
        named: Attributes = {f"dpd.{key}": value for key, value in attributes.items()}
        self._open = Span(name, span_id or self._new_id(8), self.root.span_id, at, at, named, leg=leg)

    def close(self, at: float, error: str | None = None, **attributes: str | int) -> Span | None:
        """End the span that is open, if any, and return it."""
        span, self._open = self._open, None
        if span is not None:
            span.end, span.error = at, error
            span.attributes |= {f"dpd.{key}": value for key, value in attributes.items()}
            self.done.append(span)
        return span

    def accepted(self, event: Event) -> None:
        """Begin with what the router itself does."""
        self.open("accept", event.at)

    def decided(self, event: Event) -> None:
        """Begin to wait for a worker and for room."""
        detail = event.detail
        self.close(event.at, tokens=detail["tokens"], threshold=detail["threshold"], reason=detail["reason"].value)
        self.root.attributes["dpd.tokens"] = detail["tokens"]
        self.open("queue", event.at)

    def prefill_sent(self, event: Event) -> None:
        """Begin an attempt to prefill; one that is still open took too long."""
        late = self._open is not None and self._open.leg
        self.close(event.at, Reason.PREFILL_LATE.value if late else None)
        detail = event.detail
        told = {key: detail[key] for key in ("worker", "attempt", "strategy", "receiver")}
        self.open("prefill", event.at, detail.get("span", ""), leg=True, **told)
        self._prefill = self._open

    def prefill_ended(self, event: Event) -> None:
        """End it, and begin what follows: the transfer, or the wait for another attempt."""
        status = event.detail["status"]
        good = status == _OK
        span = self.close(event.at, None if good else f"status {status}")
        if span is not None and status != "none":
            span.attributes["http.response.status_code"] = status
        self.open("transfer" if good else "queue", event.at)

    def transferred(self, event: Event) -> None:
        """End the transfer."""
        confirmed = {True: "confirmed", False: "unconfirmed", None: "unchecked"}[event.detail["confirmed"]]
        self.close(event.at, outcome=confirmed)

    def fell_back(self, event: Event) -> None:
        """Blame the leg that failed, and wait when it was a prefill; another decoder is asked at once."""
        reason: Reason = event.detail["reason"]
        self.root.notes.append(("fell back", event.at, {"dpd.reason": reason.value}))
        span, prefill = self._open, self._prefill
        if prefill is not None and reason not in _NOT_PREFILLERS:
            prefill.error = reason.value
        if span is not None and span.name == "transfer":
            self._open = None  # there was none: the prefiller left nothing
        elif span is not None and span.name != "queue":
            self.close(event.at, reason.value)
        if self._open is None and (span is None or span.name in ("prefill", "transfer")):
            self.open("queue", event.at)

    def decode_sent(self, event: Event) -> None:
        """Begin a decode; one that is still open found nobody."""
        lost = self._open is not None and self._open.leg
        self.close(event.at, Reason.DECODER_UNREACHABLE.value if lost else None)
        self.open(_FIRST, event.at, event.detail.get("span", ""), leg=True, worker=event.detail["worker"])

    def first_byte(self, event: Event) -> None:
        """Begin the stream."""
        span = self.close(event.at)
        self.open("stream", event.at, worker=str(span.attributes["dpd.worker"]) if span else "")

    def drained(self, event: Event) -> None:
        """Tell of a transfer that was read for nobody."""
        self._open = None
        since = self.done[-1].end if self.done else self.root.start
        self.open("drain", since, leg=True, worker=event.detail["worker"])
        self.close(event.at, status=event.detail["status"])

    def ended(self, event: Event) -> None:
        """End what is open; a request that failed, failed there."""
        span = self._open
        failed = self._end in _FAILED and span is not None
        self.close(event.at, self.root.error if failed else None)


_FIRST = "decode first token"
_NOT_PREFILLERS = (Reason.DECODER_UNREACHABLE, Reason.DECODER_DIED, Reason.BUFFER_FULL)
_TAKERS: dict[Step, Callable[[_Telling, Event], None]] = {
    Step.ACCEPTED: _Telling.accepted,
    Step.DECIDED: _Telling.decided,
    Step.PREFILL_SENT: _Telling.prefill_sent,
    Step.PREFILL_ENDED: _Telling.prefill_ended,
    Step.TRANSFERRED: _Telling.transferred,
    Step.FELL_BACK: _Telling.fell_back,
    Step.DECODE_SENT: _Telling.decode_sent,
    Step.FIRST_BYTE: _Telling.first_byte,
    Step.DRAINED: _Telling.drained,
    Step.ENDED: _Telling.ended,
}
