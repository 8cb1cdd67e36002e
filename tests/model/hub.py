"""A Hugging Face-style hub on loopback: a listing at a commit, and files by way of a redirection to a second host.

It keeps the hub's habits that matter: ranges, ETags, gated models, a store that refuses a request with credentials of
another host. Faults are asked for per file and used up one request at a time.
"""

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 100_000


@dataclass(frozen=True)
class Asked:
    """One request for a file."""

    path: str
    host: str
    range: str
    token: str


@dataclass
class Gate:
    """Holds an answer in the middle: `reached` says that it is held, `open` lets it go on."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


@dataclass
class Hub:
    """What the hub holds, what it was asked, and what is to go wrong."""

    model: str
    files: dict[str, bytes]
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, COMMIT: COMMIT})
    token: str | None = None
    accepted: bool = True
    page: bytes = b""
    asked: list[Asked] = field(default_factory=list)
    faults: dict[str, list["int | Gate | Callable[[dict[str, str]], None] | str"]] = field(default_factory=dict)
    url: str = ""
    store_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, path: str) -> "int | Gate | Callable[[dict[str, str]], None] | str | None":
        """The next thing that goes wrong with a file: a status, `cut`, a gate, or a change of the answer's headers."""
        with self.lock:
            waiting = self.faults.get(path) or []
            return waiting.pop(0) if waiting else None

    def ranges(self, path: str) -> list[str]:
        """The ranges of a file that were asked for, in order, where its bytes lie."""
        where = self.store_url if len(self.files[path]) >= LARGE else self.url
        return [each.range for each in self.asked if each.path == path and each.host in where]

    def listing(self, commit: str) -> dict[str, object]:
        """The answer of the API."""
        siblings = [self._sibling(path, content) for path, content in self.files.items()]
        return {"id": self.model, "sha": commit, "siblings": siblings}

    def _sibling(self, path: str, content: bytes) -> dict[str, object]:
        told: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
        if len(content) >= LARGE:
            told["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 135}
        return told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def finished(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_part(self, path: str) -> None:
        content = self.hub.files[path]
        wanted = self.headers.get("Range", "")
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = (int(first), int(last) + 1) if wanted else (0, len(content))
        body = content[start:end]
        headers = {"Content-Length": str(len(body)), "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        fault = self.hub.fault(path)
        if isinstance(fault, int):
            return self.finished(fault, b"no", Retry_After="0")
        if callable(fault):
            fault(headers)
        self.send_response(206 if "Content-Range" in headers else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(body) // 2
        if fault == "cut":
            self.wfile.write(body[:half])
            self.close_connection = True
            return None
        if isinstance(fault, Gate):
            self.wfile.write(body[: fault.after])
            self.wfile.flush()
            fault.reached.set()
            fault.open.wait(60)
            self.close_connection = True
            return None
        self.wfile.write(body)
        return None


class _Front(_Handler):
    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        hub, token = self.hub, self.headers.get("Authorization", "").removeprefix("Bearer ")
        if hub.token and token != hub.token:
            return self.finished(401, b"Invalid credentials")
        if hub.token and not hub.accepted:
            return self.finished(403, b"Access to this model is restricted")
        listing = f"/api/models/{hub.model}/revision/"
        if address.path.startswith(listing):
            commit = hub.commits.get(address.path.removeprefix(listing))
            if commit is None:
                return self.finished(404, b"Revision Not Found")
            fault = hub.fault("api")
            return self.finished(
                fault if isinstance(fault, int) else 200, hub.page or json.dumps(hub.listing(commit)).encode()
            )
        model, _, rest = address.path.removeprefix("/").partition("/resolve/")
        commit, _, path = rest.partition("/")
        path = urllib.parse.unquote(path)
        if model != hub.model or commit not in hub.commits or path not in hub.files:
            return self.finished(404, b"Entry not found")
        hub.asked.append(Asked(path, self.headers["Host"], self.headers.get("Range", ""), token))
        if len(hub.files[path]) >= LARGE:
            return self.finished(302, Location=f"{hub.store_url}/{urllib.parse.quote(path)}?signature=secret")
        return self.send_part(path)


class _Store(_Handler):
    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path.removeprefix("/"))
        token = self.headers.get("Authorization", "")
        self.hub.asked.append(Asked(path, self.headers["Host"], self.headers.get("Range", ""), token))
        if token:
            return self.finished(400, b"Only one auth mechanism allowed")
        return self.send_part(path)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the hub and its store until the block ends."""
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), type(each.__name__, (each,), {"hub": hub})) for each in (_Front, _Store)
    ]
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for waiting in hub.faults.values():
            for each in waiting:
                if isinstance(each, Gate):
                    each.open.set()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
