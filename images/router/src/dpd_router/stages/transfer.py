"""Fifth stage: what a prefiller's reply means for the decoder's turn."""

import msgspec

from dpd_router.proxied import limited
from dpd_router.types import Reply, Verdict

# The worker turned the request away before it began with it.
_BUSY = frozenset({425, 429})
_TOO_SLOW = 408


class _Usage(msgspec.Struct, frozen=True):
    """The prompt's length, under either of the names that the APIs give it."""

    prompt_tokens: int | None = None
    input_tokens: int | None = None


class _Counted(msgspec.Struct, frozen=True):
    usage: _Usage


def transfer(reply: Reply) -> Verdict:
    """Return READY when the KV was sent, REFUSED when the client is at fault.

    BUSY: the worker did not begin. RETRY: it may have begun and failed, so that pages may wait under its tag.
    """
    if reply.status == 200:
        return Verdict.READY
    if reply.status in _BUSY or limited(reply.headers):
        return Verdict.BUSY
    if 400 <= reply.status < 500 and reply.status != _TOO_SLOW:
        return Verdict.REFUSED
    return Verdict.RETRY


def prompt_tokens(reply: Reply) -> int | None:
    """Return the prompt's length as the prefiller counted it; None when its reply does not say."""
    try:
        usage = msgspec.json.decode(reply.body, type=_Counted).usage
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
