"""Seventh stage: the heads of relayed messages, and the event that tells a client its stream broke.

The bytes of a body are nobody's business but the wire's: they pass as they come.
"""

from http import HTTPStatus
from typing import Final

from dpd_router.errors import error_body
from dpd_router.proxied import MARK
from dpd_router.types import Call, Headers

# What belongs to one connection and not to the message (RFC 9110, 7.6.1), and what the router writes itself.
_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"http2-settings"})
ENDS_HERE = _HOP | {
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"content_length",  # some servers take the two for one
    b"transfer_encoding",
    b"expect",
    b"x-request-id",
    b"proxy-authorization",
    MARK,
}
"""A client's headers that go no further: its connection's, what is written anew, and what only the router may say."""
DECISION = b"x-dpd-decision"
_DECISION: Final = DECISION.decode()
ANSWERED_ANEW = _HOP | {b"x-request-id", DECISION}
"""An engine's headers that go no further."""
_CONNECTION = b"connection"
_PHRASES = {each.value: each.phrase.encode() for each in HTTPStatus}
_FRAMING = frozenset({b"transfer-encoding", b"content-length"})


def request_message(call: Call, host: str, request_id: str) -> bytes:
    """Return an upstream request as bytes: the call's headers, which are end-to-end; our framing; the body."""
    told = joined(call.headers)
    if call.method == "POST":
        return posted(call.target, host, request_id, told, call.body)
    line = f"{call.method} {call.target} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {request_id}\r\n".encode("latin-1")
    return b"%b%b\r\n%b" % (line, told, call.body)


def posted(target: str, host: str, request_id: str, told: bytes, body: bytes) -> bytes:
    """Return an upstream request that has a body; `told` are its headers as they stand in a head."""
    line = f"POST {target} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {request_id}\r\n".encode("latin-1")
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, told, len(body), body)


def joined(headers: Headers) -> bytes:
    """Return headers as they stand in a head."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def response_head(
    status: int, headers: Headers, request_id: str, *, keep_alive: bool, keep_framing: bool = True, decision: str = ""
) -> bytes:
    """Return a downstream response's head.

    `keep_framing` is false when the body is relayed without its chunks; `decision` is how the request was decided.
    """
    nominated = named_by_connection(headers)
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, phrase(status))]
    for name, value in headers:
        lower = name.lower()
        if lower in ANSWERED_ANEW or lower in nominated or (lower in _FRAMING and not keep_framing):
            continue
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(end_of_head(request_id, keep_alive=keep_alive, decision=decision))
    return b"".join(lines)


def end_of_head(request_id: str, *, keep_alive: bool, decision: str) -> bytes:
    """Return what the router itself says in a head, which is its last lines."""
    said = f"{_DECISION}: {decision}\r\n" if decision else ""
    kept = "keep-alive" if keep_alive else "close"
    return f"x-request-id: {request_id}\r\n{said}connection: {kept}\r\n\r\n".encode("latin-1")


def named_by_connection(headers: Headers) -> set[bytes]:
    """Return the lower-case names that `Connection` headers nominate as hop-by-hop, without the framing's."""
    named: set[bytes] = set()
    for name, value in headers:
        if len(name) == len(_CONNECTION) and name.lower() == _CONNECTION:
            named.update(part.strip().lower() for part in value.split(b","))
    return named - _FRAMING


def phrase(status: int) -> bytes:
    """Return the standard reason phrase of a status, empty for one that has none."""
    return _PHRASES.get(status, b"")


def broken_stream_event(*, chunked: bool, tail: bytes, error: bytes | None = None) -> bytes:
    """Return the SSE event that ends a broken stream; `tail` is the last of what was relayed, framing included.

    It closes an event that was cut in half, and it is no clean end: no `[DONE]` and no last chunk follow.
    """
    error = error or error_body("The engine broke off while it was answering.", "upstream_error", "upstream_died")
    text = tail.removesuffix(b"\r\n") if chunked else tail
    opening = b"" if text.endswith(b"\n\n") else b"\n\n"
    event = opening + b"data: " + error + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event) if chunked else event
