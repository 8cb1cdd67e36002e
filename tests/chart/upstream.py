"""A small HTTP server that stands where the engine stands, in a thread; each test scripts what it answers."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    client: tuple[str, int]


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Upstream:
    """What arrived, and what to answer: `answer` may be replaced at any time."""

    answer: Answer
    seen: list[Seen] = field(default_factory=list)


def reply(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"{}") -> None:
    """Answer at once, with a length."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def read_chunk(handler: BaseHTTPRequestHandler) -> bytes:
    """Return the next chunk of a chunked request body; empty at its end."""
    size = int(handler.rfile.readline().strip(), 16)
    content = handler.rfile.read(size)
    handler.rfile.readline()
    return content


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """Return the whole request body, with or without a length."""
    if "Content-Length" in handler.headers:
        return handler.rfile.read(int(handler.headers["Content-Length"]))
    return b"".join(iter(lambda: read_chunk(handler), b""))


def start_stream(handler: BaseHTTPRequestHandler) -> None:
    """Send the head of a streamed answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def send_event(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """Send one event; empty data ends the stream."""
    event = b"data: " + data + b"\n\n" if data else b""
    handler.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
    handler.wfile.flush()


def one_by_one(read: threading.Semaphore) -> Callable[[BaseHTTPRequestHandler], None]:
    """A stream of three events, each sent when the client says that it has read the one before."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        start_stream(handler)
        for number in range(3):
            send_event(handler, b"%d" % number)
            assert read.acquire(timeout=20), "the client never saw the event before the next one was sent"
        send_event(handler, b"")

    return answer


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            upstream.seen.append(Seen(self.command, self.path, headers, self.client_address))
            upstream.answer(self)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextlib.contextmanager
def serving(port: int, answer: Answer) -> Iterator[Upstream]:
    """Serve on loopback until the block ends."""
    upstream = Upstream(answer)
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(upstream))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
