"""Real sockets: a router of one's own, engines that follow a script, and clients that send any bytes they like."""

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dpd_router.config.load import from_document
from dpd_router.logs import Format, Log
from dpd_router.server import Router, assemble
from support.ports import free_ports

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LONG = "x" * 20000


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Seen:
    """One request as an engine read it."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


Script = Callable[[Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def plain(seen, reader, writer):
    writer.write(OK)


@dataclass
class Engine:
    """An engine that answers /health by itself and everything else by its script."""

    script: Script = plain
    health: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    port: int = 0
    seen: list = field(default_factory=list)
    connections: int = 0
    left: int = 0
    server: asyncio.Server | None = None
    tasks: set = field(default_factory=set)

    async def open(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port or self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self.server is not None:
            self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            while not writer.is_closing():
                seen = await read_request(reader)
                if seen.path == "/health":
                    writer.write(self.health)
                else:
                    self.seen.append(seen)
                    await self.script(seen, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        except asyncio.CancelledError:
            pass
        finally:
            self.tasks.discard(asyncio.current_task())
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def reads_pages(go_on: asyncio.Event, event: bytes) -> Script:
    """A decoder that says a first word when it may, and takes it ill if whoever asked has gone before."""

    async def script(seen, reader, writer):
        writer.write(STREAM)
        await go_on.wait()
        assert not reader.at_eof(), "the leg was broken off before the pages were read"
        writer.write(chunk(event))
        await writer.drain()
        await reader.read()
        raise ConnectionResetError

    return script


def writes_forever(event: bytes) -> Script:
    """An engine that streams until whoever asked has gone."""

    async def script(seen, reader, writer):
        writer.write(STREAM)
        while not (reader.at_eof() or writer.is_closing()):  # uvloop's own error where it is closed is no connection's
            writer.write(chunk(event))
            await writer.drain()
            await asyncio.sleep(0.005)
        raise ConnectionResetError

    return script


def answers_when(go_on: asyncio.Event) -> Script:
    """An engine that answers when it may."""

    async def script(seen, reader, writer):
        await go_on.wait()
        writer.write(OK)

    return script


async def read_request(reader: asyncio.StreamReader) -> Seen:
    head = await reader.readuntil(b"\r\n\r\n")
    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    return Seen(method, path, head, await reader.readexactly(length_of(head)))


def length_of(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


@contextlib.asynccontextmanager
async def engine(script: Script = plain, port: int = 0) -> AsyncIterator[Engine]:
    made = Engine(script)
    await made.open(port)
    try:
        yield made
    finally:
        await made.close()


@dataclass
class Up:
    """A running router."""

    port: int
    router: Router
    stop: asyncio.Event
    task: asyncio.Task
    output: io.StringIO

    @property
    def lines(self) -> list[str]:
        self.router.log.flush()
        return self.output.getvalue().splitlines()

    async def raw(self, data: bytes, seconds: float = 5, port: int = 0) -> bytes:
        """Send bytes and return everything until the router closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def post(self, body, path: str = "/v1/chat/completions", headers: bytes = b"", version: bytes = b"1.1"):
        """Post one request on a connection of its own and return the whole response."""
        return await self.raw(request(body, path, headers + b"connection: close\r\n", version))

    async def until(self, check, seconds: float = 5) -> None:
        """Wait until something holds."""
        await until(check, seconds)


async def until(check, seconds: float = 5) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def request(body, path: str = "/v1/chat/completions", headers: bytes = b"", version: bytes = b"1.1") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    start = b"POST %b HTTP/%b\r\nhost: r\r\n" % (path.encode(), version)
    return start + headers + b"content-length: %d\r\n\r\n%b" % (len(raw), raw)


def get(path: str, headers: bytes = b"connection: close\r\n", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: r\r\n".encode() + headers + b"\r\n"


def statuses(answer: bytes | bytearray) -> list[int]:
    """The statuses of all responses in what a connection brought."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def short(**more):
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}


def long(**more):
    return {"model": "m", "messages": [{"role": "user", "content": LONG}], **more}


@contextlib.asynccontextmanager
async def router(prefill=(), decode=(), worker=(), form=Format.PLAIN, fast=True, **sections) -> AsyncIterator[Up]:
    """Run a router over engines that listen on loopback; returns when the healthy ones are known to be.

    Without `fast` plain requests go down the path like all others.
    """
    notify = free_ports(1)[0]
    pools = {"prefill": prefill, "decode": decode, "worker": worker}
    document: dict[str, dict[str, Any]] = {
        "listen": {"host": "127.0.0.1", "port": 0},
        "endpoint": {"name": "e", "invocationPath": "/v1/chat/completions"},
        "routing": {"threshold": 4096, "strategy": "roundrobin"},
        "transfer": {
            "initPorts": [7300],
            "allocPorts": [7400],
            "notify": {"host": "127.0.0.1", "port": notify},
            "readySeconds": 0.01,
        },
        "pools": {
            role: [{"host": "127.0.0.1", "port": each.port} for each in engines] for role, engines in pools.items()
        },
        "health": {"intervalSeconds": 0.05},
        "timeouts": {"graceSeconds": 5},
    }
    for name, section in sections.items():
        document[name] = section if "connector" in section else {**document.get(name, {}), **section}
    output, stop = io.StringIO(), asyncio.Event()
    made = assemble(from_document(document), Log(output, form))
    if not fast:
        made = replace(made, app=replace(made.app, fast=None))
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(made.run(stop, port.set_result))
    up = Up(await port, made, stop, task, output)
    await up.until(lambda: all(each.up for each in made.pool.all()) or not made.pool.all())
    try:
        yield up
    finally:
        stop.set()
        await task
