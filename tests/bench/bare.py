"""Beside the peers: a relay that only relays, on the loop and the parser that the router stands on.

It tells what a request costs before anything is decided, checked, counted or told: the floor of any router like ours.
One worker after the other, bodies read as JSON and thrown away, nothing handled that can go wrong.

Usage: bare.py PORT WORKER_PORT...
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator

import httptools
import msgspec
import uvloop


class Engine(asyncio.Protocol):
    """A connection to a worker, in the list of idle ones between two requests."""

    def __init__(self, idle: "list[Engine]") -> None:
        self._idle = idle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def begin(self, message: bytes, client: asyncio.Transport) -> None:
        self._client, self._done = client, False
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(message)  # type: ignore[attr-defined]

    def on_message_complete(self) -> None:
        self._done = True

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._client.write(data)
        if self._done:
            self._idle.append(self)


class Client(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, workers: "Iterator[tuple[int, list[Engine]]]") -> None:
        self._workers = workers
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", list[tuple[bytes, bytes]](), list[bytes]()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        msgspec.json.decode(body)
        head = b"".join(b"%b: %b\r\n" % pair for pair in self._headers if pair[0].lower() != b"host")
        message = b"POST %b HTTP/1.1\r\nhost: worker\r\n%b\r\n%b" % (self._url, head, body)
        port, idle = next(self._workers)
        if idle:
            idle.pop().begin(message, self._transport)  # type: ignore[arg-type]
        else:
            self._opening = asyncio.ensure_future(self._open(port, idle, message))

    async def _open(self, port: int, idle: "list[Engine]", message: bytes) -> None:
        _, engine = await asyncio.get_running_loop().create_connection(lambda: Engine(idle), "127.0.0.1", port)
        engine.begin(message, self._transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)


async def main(port: int, workers: list[int]) -> None:
    """Relay until the process is ended."""
    turns = itertools.cycle([(each, list[Engine]()) for each in workers])
    server = await asyncio.get_running_loop().create_server(lambda: Client(turns), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
