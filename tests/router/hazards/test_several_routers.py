import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from router.hazards.world import PATH, THRESHOLD, World, answer_of, long, world
from support.ports import free_ports

PAGES, SHARE = 28, 9


@contextlib.asynccontextmanager
async def process(w: World, folder: Path, number: int) -> AsyncIterator[str]:
    """A router process of its own before the engines of a world; gives its address."""
    port, notify = free_ports(2)
    entries: dict[str, list[dict[str, Any]]] = {each.role: [] for each in w.engines}
    for each in w.engines:
        ports = {"initPorts": each.ports.init, "allocPorts": each.ports.alloc} if each.role == "decode" else {}
        entries[each.role].append({"host": "127.0.0.1", "port": each.port, **ports})
    config = folder / f"{number}.yaml"
    document = {
        "listen": {"host": "127.0.0.1", "port": port},
        "endpoint": {"name": "e", "invocationPath": PATH},
        "routing": {"threshold": THRESHOLD, "strategy": "roundrobin"},
        "transfer": {
            "initPorts": [1],
            "allocPorts": [2],
            "notify": {"host": "127.0.0.1", "port": notify},
            "confirm": False,
            "pagesPerDecoder": PAGES,
            "roomSeconds": 30,
            "usageSeconds": 0.1,
            "routers": {"most": 2, "surge": 1},
        },
        "pools": entries,
        "health": {"intervalSeconds": 0.1},
    }
    config.write_text(yaml.safe_dump(document))
    with (folder / f"{number}.log").open("w") as log:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dpd_router", "--config", str(config), stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(30):
            while not await _sees(client, url, len(w.engines)):  # noqa: ASYNC110 - another process has no event for us
                await asyncio.sleep(0.05)
        yield url
    finally:
        made.terminate()
        await made.wait()


async def _sees(client: httpx.AsyncClient, url: str, engines: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        found = await client.get(f"{url}/health")
        return found.status_code == 200 and sum(found.json()["healthy"].values()) == engines
    return False


async def reserved(client: httpx.AsyncClient, url: str, what: str = "reserved") -> float:
    lines = (await client.get(f"{url}/metrics")).text.splitlines()
    return sum(float(each.split()[-1]) for each in lines if each.startswith(f"dpd_router_pages_{what}{{"))


async def test_two_routers_fill_their_shares_and_never_the_buffer(tmp_path: Path) -> None:
    bodies = [long(f"router {number}", 30) for number in range(16)]
    async with (
        world(pages=PAGES) as w,
        process(w, tmp_path, 1) as first,
        process(w, tmp_path, 2) as second,
        httpx.AsyncClient(timeout=60) as client,
    ):
        expected = [await answer_of(w.decoders[0], body) for body in bodies]
        assert [await reserved(client, each, "capacity") for each in (first, second)] == [SHARE, SHARE]
        await w.decoders[0].ask("/sim/hang", {})
        urls = [first, second] * (len(bodies) // 2)
        asked = [
            asyncio.create_task(client.post(url + PATH, json=body)) for url, body in zip(urls, bodies, strict=True)
        ]
        # Nothing is read while the decoder stands still, so each router fills its share, and what is too much waits;
        # without shares they would take 16 prompts of 2 pages into a buffer of 28.
        await w.until(lambda: w.decoders[0].pages >= 8)
        await asyncio.sleep(0.3)
        assert [await reserved(client, each) <= SHARE for each in (first, second)] == [True, True]
        assert w.decoders[0].pages <= 2 * SHARE
        await w.decoders[0].ask("/sim/resume", {})
        answers = [await each for each in asked]
        assert [each.json()["choices"][0]["message"]["content"] for each in answers] == expected
        async with asyncio.timeout(30):
            while w.decoders[0].pages or await reserved(client, first) or await reserved(client, second):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert w.decoders[0].sim is not None
        assert not any(each.full_spins for each in w.decoders[0].sim.running.parts.receivers)
