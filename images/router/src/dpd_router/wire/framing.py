"""What a head says of its message: how long the body is, what is asked for, and under which id. Bytes in, facts out."""

import re
from functools import lru_cache

import httptools

from dpd_router.errors import BadRequestError

MAX_REQUEST_ID = 128
_REQUEST_ID = b"x-request-id"
_FIT = re.compile(rb"[!-~]{1,%d}" % MAX_REQUEST_ID)
_SHORT = 256
Pairs = list[tuple[bytes, bytes]]


def check_framing(headers: Pairs, version: str) -> int:
    """Return the announced body length, 0 when chunked or none.

    Raises BadRequestError when two readers of the same bytes could see two different messages in them.
    """
    lengths, codings, hosts = _framing(headers)
    if lengths and codings:
        raise BadRequestError("Content-Length and Transfer-Encoding exclude each other.", code="bad_framing")
    if len(lengths) > 1 or len(codings) > 1 or len(hosts) > 1:
        raise BadRequestError("A header that frames or addresses the request came twice.", code="bad_framing")
    if codings and (codings[0].strip().lower() != b"chunked" or version == "1.0"):
        raise BadRequestError("The only transfer coding taken is chunked, under HTTP/1.1.", code="bad_framing")
    if version not in ("1.0", "1.1"):
        raise BadRequestError("The router speaks HTTP/1.0 and HTTP/1.1.", code="bad_framing")
    if version == "1.1" and not hosts:
        raise BadRequestError("HTTP/1.1 asks for a Host header.", code="bad_framing")
    if lengths and not lengths[0].strip().isdigit():
        raise BadRequestError("Content-Length is not a number.", code="bad_framing")
    return int(lengths[0]) if lengths else 0


def _framing(headers: Pairs) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the values of Content-Length, Transfer-Encoding and Host."""
    lengths, codings, hosts = list[bytes](), list[bytes](), list[bytes]()
    for name, value in headers:
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"host":
                hosts.append(value)
    return lengths, codings, hosts


def target(url: bytes) -> tuple[str, str]:
    """Return the path and the query of a target, the query empty or with its question mark. Raises BadRequestError."""
    return _remembered(url) if len(url) <= _SHORT else _target(url)


def _target(url: bytes) -> tuple[str, str]:
    if any(byte <= 0x20 or byte >= 0x7F for byte in url):
        raise BadRequestError("The target holds bytes that a URL does not.", code="bad_target")
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise BadRequestError("The target is not a URL.", code="bad_target") from None
    path = (parsed.path or b"/").decode("ascii")
    query = b"?" + parsed.query if parsed.query else b""
    return path, query.decode("ascii")


_remembered = lru_cache(256)(_target)  # nearly all requests name one of a few


def request_id(headers: Pairs) -> str | None:
    """Return the client's own id when it is fit for a header and a log line."""
    for name, value in headers:
        if len(name) == len(_REQUEST_ID) and name.lower() == _REQUEST_ID:
            return value.decode("ascii") if _FIT.fullmatch(value) else None
    return None


def body_framing(headers: Pairs, length: int) -> bytes:
    """Return the header that frames the body, empty when there is none."""
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    if chunked:
        return b"transfer-encoding: chunked"
    return b"content-length: %d" % length if length else b""
