"""KV events: the router reads what vLLM's own publisher sends, and the simulator's sends the same."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dpd_router.kvevents import Feeds, Ports
from dpd_router.pool import Address, Pool, Role, Worker
from dpd_router.strategies.kvindex import Index
from engines.conftest import KINDS
from engines.harness.build import build
from support.ports import free_ports

HARNESS = Path(__file__).parent / "harness"
TOKENS = list(range(100, 148))


def simulated() -> list[str]:
    return [sys.executable, str(HARNESS / "publish_sim.py")]


def real() -> list[str]:
    return [str(build().python), str(HARNESS / "publish_vllm.py")]


@contextlib.asynccontextmanager
async def publishing(command: list[str], ports: Ports) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command, str(ports.events), str(ports.replay), stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def publish(process: Process, line: bytes = b"next") -> None:
    """Have the next batch published; any other line publishes one that changes nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + b"\n")
    while b"published" not in (said := await process.stdout.readline()):
        assert said, "the publisher ended"


async def holds(index: Index[Worker], worker: Worker, tokens: int, process: Process) -> None:
    """Wait until so much is known to be held. What came before the router listened shows by what comes after."""
    async with asyncio.timeout(60):
        while True:
            for _ in range(100):
                if index.tokens(TOKENS, worker) == tokens:
                    return
                await asyncio.sleep(0.01)
            await publish(process, b"nothing")


@pytest.mark.parametrize("kind", KINDS)
async def test_stored_removed_and_cleared_are_heard_and_what_was_told_before_is_asked_for(kind: str) -> None:
    ports = Ports(*free_ports(2))
    index: Index[Worker] = Index(1000)
    lines: list[str] = []
    feeds, pool = Feeds(index, ports, {}, 5.0, lines.append), Pool("n")
    pool.watch(Role.WORKER, feeds)
    pool.sync(Role.WORKER, {Address(Role.WORKER, "127.0.0.1", 1)})
    worker = pool.all()[0]
    index.join(worker)
    try:
        async with publishing({"simulated": simulated, "real": real}[kind](), ports) as process:
            await publish(process)  # before anybody listens
            pool.mark_up(worker)
            await holds(index, worker, 32, process)
            for held in (48, 32, 0):
                await publish(process)
                await holds(index, worker, held, process)
    finally:
        await feeds.close()
    assert (lines, feeds.heard.bad, feeds.heard.lives) == ([], 0, 0)
