"""An API server that is none: it says of objects what a test lays down."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dpd.doctor.api import Api


@contextlib.contextmanager
def relay(objects: dict[str, Any]) -> Iterator[tuple[Api, list[tuple[str, str | None]]]]:
    """What an API server says of objects, and of prompts that it is to hand on: where they went and with which key."""
    asked: list[tuple[str, str | None]] = []

    class Relay(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if "/services/" in self.path:
                asked.append((self.path, self.headers["x-api-key"]))
            found: Any = next((held for end, held in objects.items() if self.path.endswith(end)), {"items": []})
            data = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Api(f"http://127.0.0.1:{server.server_port}", None, {}), asked
        server.shutdown()
