"""Between the router and a worker's own proxy: what a request is for, and whether an answer is the proxy's own."""

from dpd_router.types import Headers

MARK = b"x-dpd-transfer"
"""Tells the proxy that pages wait for a request, so that it is not refused there, and what it is for."""
_HEADER = b"x-dpd-upstream"
_UNREACHABLE, _LIMITED = b"unreachable", b"limited"


def unreachable(headers: Headers) -> bool:
    """Say whether the engine gave no answer: it may have begun all the same."""
    return _word(headers) == _UNREACHABLE


def limited(headers: Headers) -> bool:
    """Say whether the proxy turned the request away for want of room, whatever the status: nothing has begun."""
    return _word(headers) == _LIMITED


def _word(headers: Headers) -> bytes:
    return next((value for name, value in headers if name.lower() == _HEADER), b"")
