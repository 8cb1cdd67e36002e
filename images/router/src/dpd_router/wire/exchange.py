"""One downstream request and its response: the path's client, and the place where bytes are written."""

from collections.abc import Callable
from typing import Final, Protocol

from dpd_router.ask import Ask
from dpd_router.errors import RouterError
from dpd_router.seams import Client
from dpd_router.stages.stream import broken_stream_event, end_of_head, response_head
from dpd_router.types import Reply
from dpd_router.wire.answers import AnswerHead
from dpd_router.wire.incoming import Incoming
from dpd_router.wire.parsing import ResponseHead

CLIENT_LEFT: Final = 499
_EVENT_STREAM = b"text/event-stream"


class Source(Protocol):
    """Who produces the body, so that it can be told to wait."""

    @property
    def between_chunks(self) -> bool:
        """Whether what it produced so far ends with a whole chunk."""

    def pause(self) -> None:
        """Produce no more until `resume`."""

    def resume(self) -> None:
        """Produce again."""


class Outlet(Protocol):
    """The connection as its exchange sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""

    @property
    def choked(self) -> bool:
        """Whether the client reads more slowly than it is written to."""

    @property
    def lingering(self) -> bool:
        """Whether the connection may serve another request."""


class Answering(Client, Protocol):
    """Whom a leg's reply is relayed to: a client, and where the pieces go."""

    when_gone: Callable[[], None] | None

    @property
    def ask(self) -> Ask:
        """The request that is answered."""

    @property
    def raw(self) -> bool:
        """Whether bodies are wanted as they are on the wire, framing included."""

    def start(self, head: ResponseHead, source: Source, *, more: bool) -> None:
        """Begin to relay an engine's response; `more`: a piece of its body follows at once."""

    def write(self, data: bytes) -> None:
        """Relay a piece of the body."""

    def finish(self) -> None:
        """End a relayed response that came whole."""


def _nobody(_exchange: "Exchange") -> None:
    """Be told of an end that nobody waits for."""


class Exchange:
    """Writes one response. `status` is 0 until a head was sent; `over` is told when nothing more is to be done."""

    # What most exchanges never change is the class's.
    _source: Source | None = None
    _sent = 0
    _head = b""
    _chunked = False
    _events = False
    _length: int | None = None
    _last_words: bytes | None = None
    bytes_out = 0
    tail = b""  # the last piece of body
    gone = False
    ended = False
    keep_alive = False
    abrupt = False
    when_gone: Callable[[], None] | None = None
    tell: Callable[[RouterError], None] | None = None  # who words a cut, when not we

    def __init__(self, incoming: Incoming, outlet: Outlet, over: "Callable[[Exchange], None]" = _nobody) -> None:
        self.ask = incoming.ask
        self.incoming = incoming
        self.outlet = outlet
        self._over = over
        self._decision: Callable[[], str] = str

    @property
    def status(self) -> int:
        """Return the status that was sent; 499 when there was nobody to send one to."""
        return self._sent or CLIENT_LEFT

    @property
    def refusal(self) -> RouterError | None:
        """Return why the request was turned away by its head alone, None when it was not."""
        return self.incoming.refusal

    def over(self) -> None:
        """Let the connection go on: whoever served this request is done with it."""
        self._over(self)

    @property
    def raw(self) -> bool:
        """Say whether bodies are relayed framing and all; a client that knows no chunks gets them without."""
        return not self.http_1_0

    @property
    def http_1_0(self) -> bool:
        """Say whether the client knows no chunks."""
        return self.incoming.http_1_0

    def explain(self, decision: Callable[[], str]) -> None:
        """Take what is to be asked for the head that says how the request was decided."""
        self._decision = decision

    def refuse(self, error: RouterError) -> None:
        """Answer with an error; when an answer has begun, tell it in the stream and break the connection."""
        if self.ended or self.gone:
            return
        if self._sent:
            self._break()
            return
        self.answer(Reply(error.status, error.headers(), error.body()))

    def answer(self, reply: Reply) -> None:
        """Answer with a body that is known whole."""
        if self.ended or self.gone or self._sent:
            return
        self._sent = reply.status
        self.keep_alive = self.incoming.keep_alive and self.outlet.lingering
        headers = [pair for pair in reply.headers if pair[0].lower() not in (b"content-length", b"transfer-encoding")]
        headers.append((b"content-length", b"%d" % len(reply.body)))
        decision = self._decision()
        request_id = self.ask.request_id
        head = response_head(reply.status, headers, request_id, keep_alive=self.keep_alive, decision=decision)
        body = b"" if self.ask.method == "HEAD" else reply.body
        self.bytes_out = len(body)
        self.outlet.write(head + body)
        self.ended = True

    def start(self, head: ResponseHead, source: Source, *, more: bool) -> None:
        """Begin to relay an engine's response; with `more` the head goes out with what follows, as one segment."""
        if self.gone:
            return
        self._sent = head.status
        self._source = source
        self._chunked = head.chunked and not self.http_1_0
        self._events = head.value(b"content-type").lower().startswith(_EVENT_STREAM)
        length = b"" if head.chunked else head.value(b"content-length")
        self._length = int(length) if length.isdigit() else None
        self.keep_alive = self.incoming.keep_alive and self.outlet.lingering and not head.to_close
        keep_framing = self._chunked or not head.chunked
        self._head = response_head(
            head.status,
            head.headers,
            self.ask.request_id,
            keep_alive=self.keep_alive,
            keep_framing=keep_framing,
            decision=self._decision(),
        )
        if not more:
            self._send_head()
        if self.outlet.choked:
            source.pause()

    def start_plain(self, head: AnswerHead, source: Source, *, more: bool) -> None:
        """Begin to relay a 200 with an announced end to a client of HTTP/1.1, as `start` does."""
        self._sent = 200
        self._source = source
        self._chunked = head.length is None
        self._events = head.events
        self._length = head.length
        self.keep_alive = keep = self.incoming.keep_alive and self.outlet.lingering
        said = end_of_head(self.ask.request_id, keep_alive=keep, decision=self._decision())
        self._head = head.told + said
        if not more:
            self._send_head()
        if self.outlet.choked:
            source.pause()

    def write(self, data: bytes) -> None:
        """Relay a piece of the body as it is."""
        if self.gone:
            return
        if self._head:
            self.outlet.write(self._head + data)
            self._head = b""
        else:
            self.outlet.write(data)
        self.bytes_out += len(data)
        self.tail = data

    def _send_head(self) -> None:
        if self._head:
            self.outlet.write(self._head)
            self._head = b""

    def finish(self) -> None:
        """End a relayed response that came whole."""
        self._send_head()
        self.ended = True
        self._source = None
        self.tell = None

    def choke(self) -> None:
        """Let the engine wait: the client does not keep up."""
        if self._source is not None:
            self._source.pause()

    def unchoke(self) -> None:
        """Let the engine go on."""
        if self._source is not None:
            self._source.resume()

    def leave(self) -> None:
        """Note that the client has left, and tell whoever is relaying."""
        if self.gone or self.ended:
            return
        self.gone = True
        if self.when_gone is not None:
            self.when_gone()

    def cut(self, error: RouterError) -> bool:
        """Tell the client that this is all, and go on as if it had left; say whether anything was missing."""
        if self.ended or self.gone:
            return False
        self._last_words = error.body()
        tell = self.refuse if self.tell is None else self.tell
        tell(error)
        self.gone = True
        if self.when_gone is not None:
            self.when_gone()
        return True

    def _break(self) -> None:
        """End a response that began and cannot be finished: never in a way that looks whole."""
        whole = self._source is not None and self._source.between_chunks and self.tail[-2:] in (b"", b"\r\n")
        event = broken_stream_event(chunked=self._chunked, tail=self.tail[-8:], error=self._last_words)
        # Of a body whose length was announced something must be missing in the end.
        fits = self._length is None or self.bytes_out + len(event) < self._length
        self.abrupt = not (self._events and fits and (whole or not self._chunked))
        self._send_head()
        if not self.abrupt:
            self.outlet.write(event)
        self.keep_alive = False
        self.finish()
