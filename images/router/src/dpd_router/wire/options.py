"""What the system is to do for a connection to an engine."""

import asyncio
import socket
from contextlib import suppress

# A machine that is gone says nothing, and a leg that waits would wait without end: it is asked after a minute and taken
# for gone after two. Deadlines do not do it: a prefill is let run after its own, for its pages stay where they are.
_PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
# Linux acknowledges every small piece at once when it is read, unless a connection is in its interactive mode: for a
# stream that is a segment back for each event, a twelfth of what an event costs. In that mode it waits for the next
# piece or 40 ms, and leaves the mode by itself where it has waited in vain.
_INTERACTIVE = ((socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0),) if hasattr(socket, "TCP_QUICKACK") else ()


def probe(transport: asyncio.BaseTransport) -> None:
    """Have the other side asked now and then whether it is still there."""
    _set(transport, _PROBES)


def acknowledge_less(transport: asyncio.BaseTransport) -> None:
    """Have the pieces of a stream acknowledged several at a time, where the system does that."""
    if not transport.is_closing():
        with suppress(OSError):
            _set(transport, _INTERACTIVE)


def _set(transport: asyncio.BaseTransport, options: tuple[tuple[int, int, int], ...]) -> None:
    sock = transport.get_extra_info("socket")
    for level, option, value in options:
        sock.setsockopt(level, option, value)
