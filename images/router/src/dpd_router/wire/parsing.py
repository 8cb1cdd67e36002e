"""What an engine's answer is to the parser: a head, where its chunks and the message end, and the body for who asks."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import httptools
import msgspec

from dpd_router.types import Headers


class ResponseHead(msgspec.Struct, frozen=True):
    """A response's head. `to_close`: the body ends with the connection."""

    status: int
    headers: Headers
    chunked: bool
    to_close: bool

    def value(self, name: bytes) -> bytes:
        """Return the first header of that name, in lower case; empty when there is none."""
        for key, value in self.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return b""


class Sink(Protocol):
    """Where a response goes. `raw`: bodies come as they are on the wire, framing included."""

    @property
    def raw(self) -> bool:
        """Whether the body is wanted with its framing."""

    def head(self, head: ResponseHead, *, more: bool) -> None:
        """Take the head; comes once, and first. `more`: what came with it follows at once."""

    def body(self, data: bytes) -> None:
        """Take a piece of the body."""


_WHOLE = (True,)


class Framing:
    """What the parser is told to note: the head, and where chunks and the message end; one message after another."""

    raw = True
    closed = False
    take: Callable[[bytes], None]  # where pieces of the body go, of those that are not passed on as they came

    def __init__(self) -> None:
        # Empty within a chunk. What the parser calls for every chunk are a list's own functions: no call of ours.
        self._whole = [*_WHOLE]
        self.on_chunk_header = self._whole.clear
        self.on_chunk_complete = partial(self._whole.extend, _WHOLE)
        self.restart()
        self._parser = httptools.HttpResponseParser(self)
        self.feed: Callable[[bytes], None] = self._parser.feed_data  # raises HttpParserError

    def restart(self) -> None:
        """Forget the last message, which is over."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = False
        self.complete = False
        self.excess = False
        self.chunked = False
        self.sized = False
        self._whole[:] = _WHOLE
        self.keep_alive = False

    @property
    def between_chunks(self) -> bool:
        """Say whether what was read so far ends with a whole chunk."""
        return bool(self._whole)

    def close(self) -> None:
        """Let go of the parser, which refers back here: one cycle less to collect for every connection."""
        self.closed = True
        vars(self).pop("_parser", None)
        vars(self).pop("feed", None)

    def status(self) -> int:
        """Return the status of the head that was parsed last."""
        return self._parser.get_status_code()

    def on_message_begin(self) -> None:
        """Note that there is more than one message, when one is over already."""
        self.excess = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head, and what it says of the body's framing; trailers are left out."""
        if self.started:
            return
        self.headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length":
            self.sized = True
        elif lower == b"transfer-encoding":
            self.chunked = True

    def on_headers_complete(self) -> None:
        """Note that the head is over."""
        self.started = True
        self.keep_alive = self._parser.should_keep_alive()  # cannot be asked once the message is over

    def on_message_complete(self) -> None:
        """Note that the response is over."""
        self.complete = True


class Unwrapping(Framing):
    """The same, and the body without its framing, which goes to `take`."""

    raw = False

    def on_body(self, data: bytes) -> None:
        """Pass on a piece of the body. It is here and not above because the parser copies a body only for who asks."""
        self.take(data)
