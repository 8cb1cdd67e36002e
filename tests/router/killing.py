"""Two prefillers and two decoders under load, and each of them killed in turn; what runs otherwise is kept running."""

import asyncio
import contextlib
from pathlib import Path

from router.fleet import RouterProcess, Tally, asked, load
from router.simulated import Ports, Sim, make
from support.ports import free_ports

LONG = "word " * 400  # about 500 tokens, of which 200 go through a prefiller


def engines(folder: Path) -> tuple[list[Sim], list[Sim], dict]:
    """Prepare two prefillers and two decoders; return them and the router's configuration over them."""
    notify, *rest = free_ports(9)
    first, second = Ports(notify, rest[0:1], rest[1:2]), Ports(notify, rest[2:3], rest[3:4])
    prefillers = [make(folder, "sender", port, first) for port in rest[4:6]]
    decoders = [make(folder, "receiver", port, ports) for port, ports in zip(rest[6:8], (first, second), strict=True)]
    entries = [
        {"host": "127.0.0.1", "port": each.port, "initPorts": ports.init, "allocPorts": ports.alloc}
        for each, ports in zip(decoders, (first, second), strict=True)
    ]
    document = {
        "endpoint": {"name": "e", "invocationPath": "/v1/chat/completions"},
        "discovery": {"mode": "static"},
        "routing": {"threshold": 200, "strategy": "roundrobin"},
        "transfer": {**first.transfer, "readySeconds": 1},
        "pools": {"prefill": [{"host": "127.0.0.1", "port": each.port} for each in prefillers], "decode": entries},
        "health": {"intervalSeconds": 0.2},
        "timeouts": {"prefillSeconds": 3, "connectSeconds": 1},
    }
    return prefillers, decoders, document


async def kill_each(folder: Path, *, rounds: int, clients: int, away: float, tokens: int) -> Tally:
    """Kill each engine `rounds` times, for `away` seconds each; return how the requests ended."""
    prefillers, decoders, document = engines(folder)
    sims, killed = [*prefillers, *decoders], set[int]()
    front, tally, stop = RouterProcess(folder, document), Tally(), asyncio.Event()
    try:
        for each in sims:
            each.start()
        for each in sims:
            await asyncio.to_thread(each.wait)
        front.start()
        await front.ready()
        bodies = [
            asked("hi", stream=True, max_tokens=tokens),
            asked(LONG, stream=True, max_tokens=tokens),
            asked("hi", max_tokens=tokens),
            asked(LONG, max_tokens=tokens),
        ]
        keeper = asyncio.create_task(_keep(sims, killed))
        task = asyncio.create_task(load(front.port, clients, stop, bodies, tally))
        for _ in range(rounds):
            for number, each in enumerate(sims):
                await asyncio.sleep(away / 2)
                killed.add(number)
                await asyncio.to_thread(each.kill)
                await asyncio.sleep(away)
                killed.discard(number)  # whoever keeps them starts it again
                await _well(each)
        stop.set()
        await task
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    finally:
        front.kill()
        for each in sims:
            each.kill()
    return tally


async def _keep(sims: list[Sim], killed: set[int]) -> None:
    """Start engines again that have ended: a decoder takes prefillers along that were writing to it."""
    while True:
        for number, each in enumerate(sims):
            if number not in killed and each.process is not None and each.process.poll() is not None:
                each.start()
        await asyncio.sleep(0.1)


async def _well(sim: Sim) -> None:
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.2)
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(sim.wait, 5)
                return
