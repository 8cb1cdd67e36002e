"""What a transport calls. asyncio has a class for it, and asks for it in its types only.

None of ours is derived from it: what stands on a class that is interpreted would not be compiled.
"""

import asyncio
from typing import Protocol, cast


class Reader(Protocol):
    """Who may be given a transport that is there."""

    def data_received(self, data: bytes) -> None:
        """Take bytes."""

    def eof_received(self) -> bool | None:
        """Take the other side's end of sending; the transport closes itself unless it is told otherwise."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end."""

    def pause_writing(self) -> None:
        """Note that the other side is slower than it is written to."""

    def resume_writing(self) -> None:
        """Note that it has caught up."""


class Unhindered:
    """A reader's part in sending to an engine: none, for a request is held whole as it is."""

    __slots__ = ()

    def eof_received(self) -> None:
        """Let the transport close itself."""

    def pause_writing(self) -> None:
        """Go on."""

    def resume_writing(self) -> None:
        """Go on."""


def callbacks(of: Reader) -> asyncio.Protocol:
    """Return the same, as asyncio's types would have it."""
    return cast("asyncio.Protocol", of)
