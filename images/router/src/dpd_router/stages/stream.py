"""Seventh stage: the heads of relayed messages, and the event that tells a client its stream broke.

The bytes of a body are nobody's business but the wire's: they pass as they come.
"""

from http import HTTPStatus

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
_ANSWERED_ANEW = _HOP | {b"x-request-id", DECISION}
_CONNECTION = b"connection"
_PHRASES = {each.value: each.phrase.encode() for each in HTTPStatus}
_FRAMING = frozenset({b"transfer-encoding", b"content-length"})


def request_message(call: Call, host: str, request_id: str) -> bytes:
    """Return an upstream request as bytes: the call's headers, which are end-to-end; our framing; the body."""
    told = b"".join([b"%b: %b\r\n" % pair for pair in call.headers])
    body = call.body
    line = f"{call.method} {call.target} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {request_id}\r\n".encode("latin-1")
    if call.method == "POST":
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, told, len(body), body)
    return b"%b%b\r\n%b" % (line, told, body)


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
        if lower in _ANSWERED_ANEW or lower in nominated or (lower in _FRAMING and not keep_framing):
            continue
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"x-request-id: %b\r\n" % request_id.encode("latin-1"))
    if decision:
        lines.append(b"%b: %b\r\n" % (DECISION, decision.encode("latin-1")))
    lines.append(b"connection: keep-alive\r\n\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(lines)


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
