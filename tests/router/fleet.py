"""Routers as processes of their own, and clients that count what they are told."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from support.ports import free_ports

ENDED = b"data: [DONE]\n\n"


@dataclass
class RouterProcess:
    """One router; the same configuration each time it is started."""

    folder: Path
    document: dict
    port: int = 0
    process: subprocess.Popen | None = None

    def __post_init__(self):
        self.port = self.port or free_ports(1)[0]
        self.document = {**self.document, "listen": {"host": "127.0.0.1", "port": self.port}}
        self.file = self.folder / f"router-{self.port}.yaml"
        self.log = self.folder / f"router-{self.port}.log"
        self.file.write_text(yaml.safe_dump(self.document))

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "dpd_router", "--config", str(self.file)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})

    async def ready(self, seconds: float = 60) -> None:
        """Wait until it is well."""
        async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/health")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """End it as Kubernetes would and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 120)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def memory(self) -> int:
        """Its own memory in bytes, without what it shares with others, who come and go."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024

    def fds(self) -> int:
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - names only, and quickly


def message(body: dict, close: bool = True) -> bytes:
    raw = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: r\r\ncontent-type: application/json\r\n"
    head += b"connection: close\r\n" if close else b""
    return head + b"content-length: %d\r\n\r\n" % len(raw) + raw


def asked(content: str, **more) -> dict:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


@dataclass
class Tally:
    """How requests ended, by kind; and what those looked like that did not end well."""

    ends: Counter = field(default_factory=Counter)
    odd: list = field(default_factory=list)

    def note(self, end: str, answer: bytes = b"") -> None:
        self.ends[end] += 1
        if end not in ("whole", "told") and len(self.odd) < 20:
            self.odd.append((end, answer[:300], answer[-300:]))


async def one(port: int, body: dict, tally: Tally) -> None:
    """Ask once and note the end: whole, told (an error event in the stream), cut, or refused by status."""
    answer = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        tally.note("no connection", str(error).encode())
        return
    try:
        writer.write(message(body))
        while piece := await reader.read(65536):
            answer += piece
    except ConnectionError:
        pass
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    tally.note(end_of(answer, streamed=bool(body.get("stream"))), answer)


def end_of(answer: bytes, *, streamed: bool) -> str:
    """Say how an answer ended, from its bytes alone."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head:
        return "nothing"
    status = int(head.split(b" ")[1])
    if status != 200:
        return str(status)
    if b'"error"' in rest:
        return "told"
    if streamed:
        return "whole" if ENDED in rest and rest.endswith(b"0\r\n\r\n") else "cut"
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), -1
    )
    return "whole" if length == len(rest) or rest.endswith(b"0\r\n\r\n") else "cut"


async def load(port: int, clients: int, stop: asyncio.Event, bodies, tally: Tally, pause: float = 0.0) -> None:
    """Have clients ask one request after the other until `stop`, never fewer than one each."""

    async def client(number: int) -> None:
        turn = number
        while True:
            await one(port, bodies[turn % len(bodies)], tally)
            turn += 1
            if stop.is_set():
                return
            await asyncio.sleep(pause)

    await asyncio.gather(*(client(number) for number in range(clients)))
