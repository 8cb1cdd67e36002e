"""Last stage: one request's list of events, turned into its figures and its lines in the log."""

from typing import Any

from dpd_router.record import Record
from dpd_router.types import Event, Reason, Route, Step


def narrate(step: Step, detail: dict[str, Any]) -> str | None:
    """Return the log line of an event, or None for those that only count at the end."""
    write = _LINES.get(step)
    if write is None or detail.get("reason") is Reason.RELAYED:
        return None
    return write(detail)


def observe(events: list[Event]) -> Record:
    """Return the figures of a request whose last event is ENDED and whose first is ACCEPTED."""
    begun, ended = events[0], events[-1]
    last: dict[Step, Event] = {}
    byte, workers = None, {"prefiller": "", "decoder": ""}
    for event in events:
        step = event.step
        last[step] = event
        if step is Step.FIRST_BYTE:
            byte = byte or event
        elif step in _ROLES:
            workers[_ROLES[step]] = event.detail["worker"]
    route, reason = _way(last)
    shift = last.get(Step.TRANSFERRED)
    asked, told = begun.detail, ended.detail
    return Record(
        request_id=asked["request_id"],
        method=asked["method"],
        caller=asked.get("caller", ""),
        code=told.get("code", ""),
        prefiller=workers["prefiller"],
        decoder=workers["decoder"],
        path=asked["path"],
        status=told["status"],
        route=route,
        reason=reason,
        end=told["end"],
        duration=ended.at - begun.at,
        ttft=_between(begun, byte),
        streamed=byte is not None and byte.detail.get("streamed", False),
        prefill=_between(last.get(Step.PREFILL_SENT), last.get(Step.PREFILL_ENDED)),
        transfer=None if shift is None else _CONFIRMED[shift.detail["confirmed"]],
        transfer_seconds=_between(last.get(Step.PREFILL_ENDED), shift),
        bytes_in=asked["bytes"],
        bytes_out=told["bytes"],
    )


def verdict(events: list[Event], *, debug: bool = False) -> str:
    """Return what a response says of how its request was decided, as far as it has come.

    `disaggregated; reason=threshold`, and with `debug` who was asked and for how many tokens.
    """
    last = {event.step: event for event in events}
    said = said_of(*_way(last))
    if not debug:
        return said
    decided = last.get(Step.DECIDED)
    more = [f"tokens={decided.detail['tokens']}"] if decided else []
    return "; ".join([said, *more, *(f"{name}={worker}" for name, worker in _workers(events).items())])


def said_of(route: Route, reason: Reason) -> str:
    """Return a decision as a response says it."""
    return f"{route}; reason={reason}"


def access(record: Record) -> dict[str, str | int | float]:
    """Return the fields of the access log's line: one per request, with one termination reason."""
    fields: dict[str, str | int | float] = {
        "request_id": record.request_id,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "route": record.route,
        "reason": record.reason,
    }
    if record.caller:
        fields["key"] = record.caller
    if record.prefiller:
        fields["prefiller"] = record.prefiller
    if record.decoder:
        fields["decoder"] = record.decoder
    if record.code:
        fields["code"] = record.code
    fields["bytes_in"] = record.bytes_in
    fields["bytes_out"] = record.bytes_out
    fields["ttft_ms"] = "-" if record.ttft is None else _tenths(record.ttft) / 10
    fields["duration_ms"] = _tenths(record.duration) / 10
    fields["end"] = record.end
    return fields


def access_line(record: Record) -> str:
    """Return the same as text."""
    some = f" key={record.caller}" if record.caller else ""
    if record.prefiller:
        some += f" prefiller={record.prefiller}"
    if record.decoder:
        some += f" decoder={record.decoder}"
    if record.code:
        some += f" code={record.code}"
    ttft, late = "-", record.ttft
    if late is not None:
        tenths = _tenths(late)
        ttft = f"{tenths // 10}.{tenths % 10}"
    tenths = _tenths(record.duration)
    return (
        f"access request_id={record.request_id} method={record.method} path={record.path} status={record.status} "
        f"route={record.route} reason={record.reason}{some} bytes_in={record.bytes_in} bytes_out={record.bytes_out} "
        f"ttft_ms={ttft} duration_ms={tenths // 10}.{tenths % 10} end={record.end}"
    )


def _tenths(seconds: float) -> int:
    """Return tenths of milliseconds."""
    return int(seconds * 10_000 + 0.5)


def _way(last: dict[Step, Event]) -> tuple[Route, Reason]:
    """Return the route taken in the end: the decision, unless something made the request fall back."""
    decided, fell = last.get(Step.DECIDED), last.get(Step.FELL_BACK)
    if decided is None:
        return Route.NONE, Reason.INVALID
    reason: Reason = fell.detail["reason"] if fell else decided.detail["reason"]
    if Step.DECODE_SENT not in last and Step.DRAINED not in last:
        return Route.NONE, reason
    disaggregated = decided.detail["disaggregate"] and fell is None
    return (Route.DISAGGREGATED if disaggregated else Route.DIRECT), reason


_ROLES = {Step.PREFILL_SENT: "prefiller", Step.DECODE_SENT: "decoder", Step.DRAINED: "decoder"}


def _workers(events: list[Event]) -> dict[str, str]:
    return {_ROLES[event.step]: event.detail["worker"] for event in events if event.step in _ROLES}


def _between(start: Event | None, stop: Event | None) -> float | None:
    return None if start is None or stop is None else stop.at - start.at


def decided(tokens: int, threshold: int, *, disaggregate: bool) -> str:
    """Return the line of a decision, as HyperPod's router writes it."""
    return f"Conditional routing: estimated_tokens={tokens}, threshold={threshold}, disaggregate={disaggregate}"


def decode_sent(worker: str, tag: str, request_id: str) -> str:
    """Return the line of a request that goes to a decoder."""
    return f"request to decoder: decoder={worker} tag={tag} request_id={request_id}"


def _decided(detail: dict[str, Any]) -> str:
    return decided(detail["tokens"], detail["threshold"], disaggregate=detail["disaggregate"])


def _prefill_sent(detail: dict[str, Any]) -> str:
    return (
        f"prefill selection: prefiller={detail['worker']} strategy={detail['strategy']} "
        f"receiver={detail['receiver']} attempt={detail['attempt']} request_id={detail['request_id']}"
    )


def _prefill_ended(detail: dict[str, Any]) -> str:
    return (
        f"prefill time: seconds={detail['seconds']:.3f} prefiller={detail['worker']} status={detail['status']} "
        f"request_id={detail['request_id']}"
    )


_CONFIRMED = {True: "confirmed", False: "unconfirmed", None: "unchecked"}


def _transferred(detail: dict[str, Any]) -> str:
    return f"transfer: confirmed={detail['confirmed']} request_id={detail['request_id']}"


def _fell_back(detail: dict[str, Any]) -> str:
    return f"fallback: reason={detail['reason']} request_id={detail['request_id']}"


def _decode_sent(detail: dict[str, Any]) -> str:
    return decode_sent(detail["worker"], detail["tag"], detail["request_id"])


def _drained(detail: dict[str, Any]) -> str:
    return f"drain to decoder: decoder={detail['worker']} status={detail['status']} request_id={detail['request_id']}"


_LINES = {
    Step.DECIDED: _decided,
    Step.PREFILL_SENT: _prefill_sent,
    Step.PREFILL_ENDED: _prefill_ended,
    Step.TRANSFERRED: _transferred,
    Step.FELL_BACK: _fell_back,
    Step.DECODE_SENT: _decode_sent,
    Step.DRAINED: _drained,
}
