"""What a worker's own proxy says of an answer that is not its engine's; engines' answers come without such a word."""

from dpd_router.types import Headers

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
