"""What a client, an engine, the log and the metrics get of a conversation, apart from what differs in any two."""

import asyncio
import re
from dataclasses import dataclass, field

from router.rig import Up

# What differs: ids, times, and which port the router listens on.
_IDS = (re.compile(rb"\b[0-9a-f]{32}\b"), re.compile(rb"(?<=-)[0-9a-f]{8}\b"))
_TIMES = re.compile(r"(ttft|duration)_ms=[0-9.]+")
_OF_A_REQUEST = ("[INFO] Conditional", "[INFO] request ", "[INFO] fallback", "[INFO] access", "[ERROR]")
_TIMED = re.compile(r"#|.*(_bucket|_sum)\b|dpd_router_discovery_age")


class Talk(asyncio.Protocol):
    """A client's connection that keeps every byte it got, and how it ended: `kept`, `closed` or `reset`."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.got = bytearray()
        self.end = "kept"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.end = "closed" if exc is None else "reset"

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self.transport.close()


async def talk(up: Up) -> Talk:
    """Connect to a router."""
    _, made = await asyncio.get_running_loop().create_connection(Talk, "127.0.0.1", up.port)
    return made


@dataclass
class Ways:
    """How often a request was taken on the fast path, was handed over from there, and went down the path at once."""

    taken: int = 0
    handed: int = 0
    left: int = 0


@dataclass
class Heard:
    """All that anybody got of a conversation."""

    client: bytes
    end: str
    engine: list[tuple[bytes, bytes]]
    lines: list[str]
    metrics: list[str]
    ways: Ways = field(compare=False)


def alike(data: bytes) -> bytes:
    """The same bytes without what no two conversations have in common."""
    for each in _IDS:
        data = each.sub(b"ID", data)
    return data


def said(up: Up) -> list[str]:
    """What the log says of requests."""
    lines = [line for line in up.lines if line.startswith(_OF_A_REQUEST)]
    return [_TIMES.sub(r"\1_ms=T", alike(line.encode()).decode()) for line in lines]


def counted(up: Up) -> list[str]:
    """The metrics, without times."""
    text = up.router.app.metrics.text().decode()
    return [line for line in text.splitlines() if not _TIMED.match(line)]


def ended(up: Up) -> int:
    """How many requests have ended, by the log."""
    return sum(line.startswith("[INFO] access") for line in up.lines)


async def converse(up: Up, engines, messages, ways: Ways | None = None) -> Heard:
    """Say one message after the other, each when what came before it has been answered. A list is said in pieces."""
    client = await talk(up)
    for number, message in enumerate(messages, 1):
        if client.end != "kept":
            break
        for piece in message if isinstance(message, list) else [message]:
            client.write(piece)
            await asyncio.sleep(0.002)
        await up.until(lambda number=number: ended(up) >= number and not up.router.doors.serving)
        await asyncio.sleep(0.01)
    client.close()
    end = client.end
    await up.until(lambda: not up.router.doors.inside)
    seen = [(alike(each.head), each.body) for engine in engines for each in engine.seen]
    for engine in engines:
        engine.seen.clear()
    return Heard(alike(bytes(client.got)), end, seen, said(up), counted(up), ways or Ways())
