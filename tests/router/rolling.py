"""A rolling restart of two routers behind a balancer, under load."""

import asyncio
import contextlib
from pathlib import Path

import httpx

from router.balancers import balancer
from router.fleet import RouterProcess, Tally, asked, load
from router.rig import STREAM, chunk, engine

EVENT = b'data: {"choices":[]}\n\n'


async def stream(seen, reader, writer):
    """Answer as an engine does: a stream when asked for one, else a whole answer after a moment."""
    if not seen.json.get("stream"):
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        return
    writer.write(STREAM)
    for _ in range(10):
        writer.write(chunk(EVENT))
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def document(decoders) -> dict:
    return {
        "endpoint": {"name": "e", "invocationPath": "/v1/chat/completions"},
        "discovery": {"mode": "static"},
        "pools": {"worker": [{"host": "127.0.0.1", "port": each.port} for each in decoders]},
        "health": {"intervalSeconds": 0.2},
        "timeouts": {"graceSeconds": 20, "leaveSeconds": 1.0},
        "logs": {"accessSample": 0},
    }


async def rolling_restart(kind: str, folder: Path, *, rounds: int, clients: int) -> tuple[Tally, list[int]]:
    """Restart each of two routers `rounds` times under load; return how requests ended, and the exit statuses."""
    tally, statuses = Tally(), list[int]()
    async with engine(stream) as one, engine(stream) as other:
        routers = [RouterProcess(folder, document([one, other])) for _ in range(2)]
        try:
            for each in routers:
                each.start()
            await asyncio.gather(*(each.ready() for each in routers))
            with balancer(kind, folder, [each.port for each in routers]) as port:
                await _listening(port)
                stop = asyncio.Event()
                bodies = [asked("hi", stream=True), asked("hi")]
                task = asyncio.create_task(load(port, clients, stop, bodies, tally))
                for _ in range(rounds):
                    for each in routers:
                        await asyncio.sleep(0.3)
                        statuses.append(await each.stop())
                        each.start()
                        await each.ready()
                        await _listening(port)
                        await asyncio.sleep(1)  # nginx tries it again before its neighbour goes
                stop.set()
                await task
        finally:
            for each in routers:
                each.kill()
    return tally, statuses


async def _listening(port: int) -> None:
    """Wait until the balancer sends to every router."""
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/all-well")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
