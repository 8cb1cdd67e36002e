"""What a head says of its message: how long the body is, what is asked for, and under which id. Bytes in, facts out."""

import httptools

from dpd_router.errors import BadRequestError

MAX_REQUEST_ID = 128
Pairs = list[tuple[bytes, bytes]]


def check_framing(headers: Pairs, version: str) -> int:
    """Return the announced body length, 0 when chunked or none.

    Raises BadRequestError when two readers of the same bytes could see two different messages in them.
    """
    seen: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        seen.setdefault(name.lower(), []).append(value)
    lengths, codings = seen.get(b"content-length", []), seen.get(b"transfer-encoding", [])
    if lengths and codings:
        raise BadRequestError("Content-Length and Transfer-Encoding exclude each other.", code="bad_framing")
    if len(lengths) > 1 or len(codings) > 1 or len(seen.get(b"host", [])) > 1:
        raise BadRequestError("A header that frames or addresses the request came twice.", code="bad_framing")
    if codings and (codings[0].strip().lower() != b"chunked" or version == "1.0"):
        raise BadRequestError("The only transfer coding taken is chunked, under HTTP/1.1.", code="bad_framing")
    if version not in ("1.0", "1.1"):
        raise BadRequestError("The router speaks HTTP/1.0 and HTTP/1.1.", code="bad_framing")
    if version == "1.1" and b"host" not in seen:
        raise BadRequestError("HTTP/1.1 asks for a Host header.", code="bad_framing")
    if lengths and not lengths[0].strip().isdigit():
        raise BadRequestError("Content-Length is not a number.", code="bad_framing")
    return int(lengths[0]) if lengths else 0


def target(url: bytes) -> tuple[str, str]:
    """Return the path and the query of a target, the query empty or with its question mark. Raises BadRequestError."""
    if any(byte <= 0x20 or byte >= 0x7F for byte in url):
        raise BadRequestError("The target holds bytes that a URL does not.", code="bad_target")
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise BadRequestError("The target is not a URL.", code="bad_target") from None
    path = (parsed.path or b"/").decode("ascii")
    query = b"?" + parsed.query if parsed.query else b""
    return path, query.decode("ascii")


def request_id(headers: Pairs) -> str | None:
    """Return the client's own id when it is fit for a header and a log line."""
    for name, value in headers:
        if name.lower() == b"x-request-id":
            text = value.decode("latin-1")
            fit = 0 < len(text) <= MAX_REQUEST_ID and all("!" <= char <= "~" for char in text)
            return text if fit else None
    return None


def body_framing(headers: Pairs, length: int) -> bytes:
    """Return the header that frames the body, empty when there is none."""
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    if chunked:
        return b"transfer-encoding: chunked"
    return b"content-length: %d" % length if length else b""
