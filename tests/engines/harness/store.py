"""Beside the path: a store that speaks as much of Redis' protocol as LMCache asks, in a thread. Needs a password."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase

PASSWORD = "secret"
OK = b"+OK\r\n"
NONE = b"$-1\r\n"


class _Store(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.held: dict[bytes, bytes] = {}


class _Connection(socketserver.StreamRequestHandler):
    server: _Store

    def handle(self) -> None:
        known = False
        while words := _command(self.rfile):
            name = words[0].upper()
            if name == b"AUTH":
                known = words[-1] == PASSWORD.encode()
                self.wfile.write(OK if known else b"-WRONGPASS\r\n")
            elif not known and name not in (b"HELLO", b"CLIENT"):
                self.wfile.write(b"-NOAUTH Authentication required.\r\n")
            else:
                self.wfile.write(self._answer(name, words[1:]))

    def _answer(self, name: bytes, words: list[bytes]) -> bytes:
        held = self.server.held
        if name == b"SET":
            held[words[0]] = words[1]
        elif name == b"GET":
            found = held.get(words[0])
            return NONE if found is None else b"$%d\r\n%s\r\n" % (len(found), found)
        elif name == b"EXISTS":
            return b":%d\r\n" % sum(each in held for each in words)
        elif name not in (b"SELECT", b"CLIENT", b"PING"):
            return b"-ERR unknown command\r\n"
        return OK


def _command(stream: BufferedIOBase) -> list[bytes]:
    """The words of one command; none when the connection ends."""
    head = stream.readline()
    words = []
    for _ in range(int(head[1:] or 0)):
        size = int(stream.readline()[1:])
        words.append(stream.read(size))
        stream.read(2)
    return words


@contextmanager
def store() -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Run one; yields its port and what it holds, for good, by key."""
    with _Store() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1], server.held
        finally:
            server.shutdown()
            thread.join()
