"""Fifth stage: what a prefiller's reply means for the decoder's turn."""

from dpd_router.types import Reply, Verdict

# The worker turned the request away before it began with it.
_BUSY = frozenset({425, 429})
_TOO_SLOW = 408


def transfer(reply: Reply) -> Verdict:
    """Return READY when the KV was sent, REFUSED when the client is at fault.

    BUSY: the worker did not begin. RETRY: it may have begun and failed, so that pages may wait under its tag.
    """
    if reply.status == 200:
        return Verdict.READY
    if reply.status in _BUSY:
        return Verdict.BUSY
    if 400 <= reply.status < 500 and reply.status != _TOO_SLOW:
        return Verdict.REFUSED
    return Verdict.RETRY
