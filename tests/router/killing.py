"""Two prefillers and two decoders under load, and each of them killed in turn; what runs otherwise is kept running."""

import asyncio
from pathlib import Path

import httpx

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
                await _well(front)
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
    """Start engines again that ended or say they are dead: a decoder takes prefillers along that write to it.

    What Kubernetes would do; without it the router is left with fewer engines after every round.
    """
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            for number, each in enumerate(sims):
                if number not in killed and await _dead(each, client) and number not in killed:
                    await asyncio.to_thread(each.kill)
                    each.start()
            await asyncio.sleep(0.1)


async def _dead(sim: Sim, client: httpx.AsyncClient) -> bool:
    if sim.process is None or sim.process.poll() is not None:
        return True
    try:
        return (await client.get(f"{sim.url}/health")).status_code == 503
    except httpx.TransportError:
        return False  # it starts, or is busy


async def _well(front: RouterProcess) -> None:
    """Wait until the router knows all engines to be well again: one is lost at a time."""
    async with asyncio.timeout(120), httpx.AsyncClient(trust_env=False) as client:
        while True:
            healthy = (await client.get(f"http://127.0.0.1:{front.port}/health")).json()["healthy"]
            if (healthy["prefill"], healthy["decode"]) == (2, 2):
                return
            await asyncio.sleep(0.1)
