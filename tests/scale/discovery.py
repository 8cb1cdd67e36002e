"""A router that follows many pods: how soon it knows them all, what it holds then, and what it does when some leave."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from cluster.control import ControlPlane
from router.fleet import RouterProcess, Tally, asked, load
from router.pods import ROLE, token_of
from scale.numbers import Spread, spread
from scale.pods import Leaving, Pods
from scale.usage import Usage, used
from support.ports import free_ports

_PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 0.1
_CLIENTS = 8
_ENGINES = Path(__file__).with_name("engines.py")
# So many answers for each pod, before and after some leave: what is not asked in them is not asked any more.
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is reported and judged, times in seconds. `late`: from each leaving pod's event to its last prompt.

    `strays`: prompts that reached a pod although the router no longer gave it any. `tally`: how requests ended.
    """

    pods: int
    removed: int
    listed: float
    proven: float
    followed: float
    late: Spread
    later: int
    asked: int
    strays: list[str]
    tally: Tally
    known: int
    standing: Usage
    seconds: float


async def measure(plane: ControlPlane, folder: Path, count: int, removed: int) -> Outcome:
    """Follow `count` pods, half of either role, and let `removed` of the decoders leave under load."""
    pods = Pods(plane)
    engines, notify = free_ports(2)
    notes = folder / "prompts.txt"
    with _answering(engines, notes):
        pods.scale(count - count // 2, count // 2)
        await asyncio.to_thread(pods.until_ready, count)
        router = RouterProcess(folder, _document(plane, folder, engines, notify))
        try:
            listed, proven = await _start(router, count)
            assert router.process is not None
            with used(router.process.pid) as standing:
                began = time.monotonic()
                await asyncio.sleep(min(10.0, count / 20))
                quiet = time.monotonic() - began
            left = await _leaving(pods, router, count, removed)
            followed = await _growing(pods, router, count, count - removed)
        finally:
            router.kill()
    prompts = [(float(when), address) for when, address in map(str.split, notes.read_text().splitlines())]
    late = _late(left.leaving, prompts)
    return Outcome(
        pods=count,
        removed=len(left.leaving.told),
        listed=listed,
        proven=proven,
        followed=followed,
        late=spread(list(late.values())),
        later=sum(each > 0 for each in late.values()),
        asked=len(prompts),
        strays=[f"{address} at {when}" for when, address in prompts if left.at < when < left.until and address in late],
        tally=left.tally,
        known=left.known,
        standing=standing,
        seconds=quiet,
    )


@dataclass(frozen=True, slots=True)
class _Left:
    """What was seen while pods left: when the router had let all of them go, and when the next ones came."""

    leaving: Leaving
    tally: Tally
    at: float
    until: float
    known: int


async def _start(router: RouterProcess, count: int) -> tuple[float, float]:
    """Start the router; return the seconds until it knew all pods, and until all had answered it."""
    began = time.monotonic()
    router.start()
    await router.ready()
    await _until(router, lambda seen: seen.workers == count)
    listed = time.monotonic() - began
    await _until(router, lambda seen: seen.ready == count)
    return listed, time.monotonic() - began


async def _leaving(pods: Pods, router: RouterProcess, count: int, removed: int) -> _Left:
    tally, stop = Tally(), asyncio.Event()
    asking = asyncio.create_task(load(router.port, _CLIENTS, stop, [asked("hi")], tally))
    try:
        with pods.leaving() as leaving:
            await _answers(tally, count)
            await asyncio.to_thread(pods.scale, count - count // 2, count // 2 - removed)
            await asyncio.to_thread(leaving.until, removed)
            seen = await _until(router, lambda seen: seen.workers == count - removed)
            at = time.monotonic()
            await _answers(tally, count)
            return _Left(leaving, tally, at, time.monotonic(), seen.workers)
    finally:
        stop.set()
        await asking


async def _growing(pods: Pods, router: RouterProcess, count: int, before: int) -> float:
    """Let the pods come back; return the seconds from the last one's being ready to the router's knowing all."""
    assert before < count
    await asyncio.to_thread(pods.scale, count - count // 2, count // 2)
    await asyncio.to_thread(pods.until_ready, count)
    began = time.monotonic()
    await _until(router, lambda seen: seen.ready == count)
    return time.monotonic() - began


async def _answers(tally: Tally, count: int) -> None:
    """Wait for enough further answers of `count` pods."""
    wanted = tally.ends.total() + _ENOUGH * count
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while tally.ends.total() < wanted:  # noqa: ASYNC110 - the clients know of no event
            await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the router's metrics say: workers that are not on their way out, and those that take requests."""

    workers: int
    ready: int


async def _until(router: RouterProcess, holds: Callable[[_Seen], bool]) -> _Seen:
    async with asyncio.timeout(_PATIENCE_SECONDS), httpx.AsyncClient(trust_env=False, timeout=60) as client:
        while True:
            text = (await client.get(f"http://127.0.0.1:{router.port}/metrics")).text
            seen = _read(text)
            if holds(seen):
                return seen
            await asyncio.sleep(_PAUSE_SECONDS)


def _read(text: str) -> _Seen:
    families = {each.name: each.samples for each in text_string_to_metric_families(text)}
    resting = families.get("dpd_router_worker_resting", [])
    ready = families.get("dpd_router_worker_ready", [])
    return _Seen(sum(each.value == 0 for each in resting), sum(each.value == 1 for each in ready))


def _late(leaving: Leaving, prompts: list[tuple[float, str]]) -> dict[str, float]:
    """Return, by address of each pod that left, how long after the event a prompt still came there; 0 for none."""
    late = dict.fromkeys(leaving.told, 0.0)
    for when, address in prompts:
        if address in late:
            late[address] = max(late[address], when - leaving.told[address])
    return late


@contextlib.contextmanager
def _answering(port: int, notes: Path) -> Iterator[None]:
    command = [sys.executable, str(_ENGINES), str(port), str(notes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield
        finally:
            process.kill()


def _document(plane: ControlPlane, folder: Path, port: int, notify: int) -> dict:
    selector = f"app=e,{ROLE}="
    return {
        "endpoint": {"name": "e", "namespace": "default", "invocationPath": "/v1/chat/completions"},
        "discovery": {
            "mode": "kubernetes",
            "server": plane.url,
            "tokenFile": str(token_of(plane, folder, "default", "router")),
            "caFile": str(plane.keys / "ca.crt"),
        },
        "transfer": {"notify": {"host": "127.0.0.1", "port": notify}, "initPorts": [7300], "allocPorts": [7400]},
        "pools": {
            "prefill": [{"selector": f"{selector}prefill", "port": port}],
            "decode": [{"selector": f"{selector}decode", "port": port}],
        },
        "logs": {"accessSample": 0},
    }
