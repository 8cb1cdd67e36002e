"""Downstream requests out of bytes: strict about framing, bounded in size, with no transport of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import httptools

from dpd_router.ask import Admission, Ask
from dpd_router.errors import BadRequestError, BodyTooLargeError, HeadTooLargeError, RouterError
from dpd_router.types import Headers as Pairs
from dpd_router.wire.framing import Headers, body_framing, check_framing, request_id, target
from dpd_router.wire.heads import Heads, Known
from dpd_router.wire.held import Held
from dpd_router.wire.incoming import Incoming

Admit = Callable[[str, Pairs], Admission]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes and times in seconds that one client may take, and how many may be connected.
    `held_bytes` is for the bodies of all clients together, None for no limit.

    `head_seconds` and `request_seconds` count from a request's first byte, `stalled_seconds` from the moment at which a
    client no longer took what was sent to it.
    """

    head_bytes: int = 64 * 1024
    body_bytes: int = 64 * 1024 * 1024
    request_seconds: float = 60.0
    idle_seconds: float = 75.0
    head_seconds: float = 15.0
    stalled_seconds: float = 300.0
    connections: int = 10_000
    held_bytes: int | None = None


_UNKNOWN = Admission(())
_EXPECT = b"expect"
# What belongs to one message and not to its head alone.
_UNLIKE = frozenset({_EXPECT, b"transfer-encoding", b"upgrade"})
LESSONS = 8
"""So many heads of a connection are remembered, the latest at a time: a client whose heads all differ has none."""


class RequestReader:
    """Parses one connection's requests, one after the other. `new_id` makes a request id when the client sent none.

    `admit` sees every head before the body is taken; `held` counts bodies, those of the requests it returned as well;
    `heads` are those that came before, on any connection.
    """

    def __init__(
        self,
        limits: Limits,
        new_id: Callable[[], str],
        admit: Admit = lambda _, headers: Admission(headers),
        held: Held | None = None,
        heads: Heads | None = None,
    ):
        self._held = held or Held()
        self._heads = heads or Heads()
        self._known: Known | None = None
        self._lessons = LESSONS
        self._kept = 0
        self._limits = limits
        self._new_id = new_id
        self._admit = admit
        self._parser = httptools.HttpRequestParser(self)
        self._ready: list[Incoming] = []
        self.in_head = False
        self._resuming = False
        self.busy = False
        self.closing = False
        self.continue_owed = False
        self.error: RouterError | None = None
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers = Headers()
        self._add = self._headers.add
        self._head_size = 0
        self._head_fed = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._body_framing = b""
        self._body_limit = self._limits.body_bytes
        self._version = "1.1"
        self._method = b""
        self._target = ("", "")
        self._admission = _UNKNOWN

    def feed(self, data: bytes) -> list[Incoming]:
        """Take bytes and return the requests they complete; after a mistake `error` is set and all else ignored."""
        if self.closing or self.error is not None:
            return []
        between = not self.busy
        if between and self._known is not None:
            again = self._again(self._known, data)
            if again is not None:
                return again
        try:
            self._parse(data)
            if self.in_head:
                # Bytes of a head that no callback has seen; those of a head that began behind a body are counted later.
                self._head_fed += len(data) if not between or not self._ready else 0
                self._check_head(self._head_fed)
        except RouterError as error:
            self.error = error
        except httptools.HttpParserError as error:
            self.error = BadRequestError(f"The request is not HTTP/1.1: {error}.", code="bad_framing")
        ready, self._ready = self._ready, []
        if between and self._lessons and len(ready) == 1:
            self._learn(data, ready[0])
        return ready

    def _again(self, known: Known, data: bytes) -> list[Incoming] | None:
        """Return a request that came whole and whose head is known, nothing but the `error` where it may not come in;
        None for what the parser has to look at."""
        body = known.body(data)
        if body is None or len(body) > self._limits.body_bytes or not self._held.fits(len(body)):
            return None
        admission = self._admit(known.path, known.headers)
        if admission.body_bytes is not None and len(body) > admission.body_bytes:
            self._body_limit, self.busy = admission.body_bytes, True  # as where the parser stops at such a head
            self.error = admission.refusal or self._too_large()
            return []
        if admission.refusal is None:
            self._held.take(len(body))
        else:
            body = b""
        identity = known.request_id or self._new_id()
        ask = Ask("POST", known.path, known.query, admission.headers, body, identity, admission.caller)
        return [Incoming(ask, http_1_0=False, keep_alive=True, refusal=admission.refusal, known=known)]

    def _learn(self, data: bytes, incoming: Incoming) -> None:
        """Remember a request's head for the next one."""
        ask, ours, admission = incoming.ask, self._headers.ours, self._admission
        if ask.method != "POST" or not incoming.keep_alive or self.busy or self.error is not None:
            return
        if admission.refusal is not None or admission.body_bytes is not None or not ours.keys().isdisjoint(_UNLIKE):
            return
        self._lessons -= 1
        headers, identity = self._headers.end_to_end(), request_id(self._headers)
        self._known = self._heads.learn(data, ask.path, ask.query, headers, ask.body, identity)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self.busy:
                self.closing = True  # no protocol but this one: served as it is, and the connection ends with it
                return
            self._resume(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if error.__context__ is None:
                raise
            raise error.__context__ from None

    def _resume(self, rest: bytes) -> None:
        """Go on with the body of a request that asked for an upgrade: the parser takes what follows for a tunnel."""
        self._parser = httptools.HttpRequestParser(self)
        self._resuming = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % self._body_framing)
        self._resuming = False
        self._parse(rest)

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._resuming:
            self._reset()
            self.busy = self.in_head = True

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        if self._resuming:
            return
        self._grow_head(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is dropped."""
        if self.in_head:
            self._head_size += len(name) + len(value) + 4
            if self._head_size > self._limits.head_bytes:
                self._check_head(self._head_size)
            self._add(name, value)

    def on_headers_complete(self) -> None:
        """Check the framing before any of the body is taken."""
        if self._resuming:
            return
        headers = self._headers
        self.in_head = False
        self._method = self._parser.get_method()
        self._version = self._parser.get_http_version()
        length = check_framing(headers, self._version)
        self._target = target(self._url)
        self._admission = admission = self._admit(self._target[0], headers.end_to_end())
        if admission.body_bytes is not None:
            self._body_limit = min(self._body_limit, admission.body_bytes)
        if length > self._body_limit:
            raise admission.refusal or self._too_large()
        if _EXPECT in headers.ours:
            self._check_expectation()
        if self._parser.should_upgrade() and self._method != b"CONNECT":
            self._body_framing = body_framing(headers, length)

    def _check_expectation(self) -> None:
        if self._admission.refusal is not None:
            raise self._admission.refusal  # the body need not come
        twice = any(name == _EXPECT for name, _ in self._headers.again)
        if twice or self._headers.ours[_EXPECT].lower() != b"100-continue":
            raise BadRequestError("Expect asks for what the router does not do; leave it out.", code="bad_expectation")
        self.continue_owed = self._version != "1.0"

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body, without its chunk framing."""
        self._body_size += len(data)
        if self._body_size > self._body_limit:
            raise self._admission.refusal or self._too_large()
        if self._admission.refusal is None:
            self._held.take(len(data))
            self._kept += len(data)
            self._body.append(data)

    def on_message_complete(self) -> None:
        """Put the request together."""
        if self._body_framing and self._parser.should_upgrade():
            return  # the body is still to come: see _resume
        self.busy = self.continue_owed = False
        path, query = self._target
        ask = Ask(
            self._method.decode("latin-1"),
            path,
            query,
            self._admission.headers,
            b"".join(self._body),
            request_id(self._headers) or self._new_id(),
            self._admission.caller,
        )
        keep = self._parser.should_keep_alive() and self._version == "1.1" and not self._body_framing
        if not keep:
            self._known = None  # it is the last: what comes behind it is the parser's to refuse
        refusal = self._admission.refusal
        self._ready.append(Incoming(ask, http_1_0=self._version == "1.0", keep_alive=keep, refusal=refusal))
        self._body = []
        self._kept = 0

    def drop(self) -> None:
        """Let go of a body that does not come whole."""
        self._held.give(self._kept)
        self._body = []
        self._kept = 0

    def _grow_head(self, size: int) -> None:
        self._head_size += size
        self._check_head(self._head_size)

    def _check_head(self, size: int) -> None:
        if size > self._limits.head_bytes:
            raise HeadTooLargeError(f"The request's head exceeds {self._limits.head_bytes} bytes; send less.")

    def _too_large(self) -> RouterError:
        return BodyTooLargeError(f"The body exceeds {self._body_limit} bytes; send a shorter prompt.")
