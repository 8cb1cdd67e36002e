"""Beside the path: what routers do that know neither pages nor drains, to show that the suite can tell.

It follows the example that comes with LMCache: prefill with `max_tokens` 1 and where the decoder is, wait for the
reply, then decode; who has left is not served further. Nothing is reserved, nothing is read for a client that is gone.
"""

import contextlib
import http.client
import http.server
import json
import select
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from engines.harness.client import Body

SECONDS = 30.0


@contextmanager
def naive(prefill: str, decode: str, receiver: Body) -> Iterator[str]:
    """Serve before two engines, given by their URLs and where the decoder takes transfers; yield our own URL."""
    count = iter(range(1_000_000))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            spec = {"req_id": f"naive-{next(count)}", **receiver}
            with contextlib.suppress(OSError):
                _send(prefill, self.path, {**body, "max_tokens": 1, "stream": False}, {"disagg_spec": spec})
                if not gone(self.connection):
                    self._relay(*_send(decode, self.path, body, {}))
            self.close_connection = True

        def _relay(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def gone(connection: socket.socket) -> bool:
    """Whether the other side has closed; it has nothing more to say otherwise."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


def _send(url: str, path: str, body: Body, params: Body) -> tuple[int, bytes]:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=SECONDS)
    with contextlib.closing(connection):
        asked = {**body, "kv_transfer_params": params} if params else body
        connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
