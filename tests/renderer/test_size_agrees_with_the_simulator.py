"""The simulation inside `dpd size` against engines of dpd-sim, as processes, on the same trace."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
import zmq
import zmq.asyncio

from dpd.size.flow.costs import Costs
from dpd.size.flow.engine import Engine, Limits
from dpd.size.flow.outcome import Outcome, outcome_of
from dpd.size.flow.system import Record, Router, System
from dpd.size.flow.trace import Arrival, Workload, drawn
from support.paths import ROOT
from support.ports import free_ports

SPEEDS = (2.0, 1.0, 0.5)
"""Simulated seconds in a real one: the slower, the less a busy machine shows."""
LATE = 0.006
"""Simulated seconds a timer may be late, on the average, at any speed but the slowest."""
TOKEN_BYTES = 256  # of the simulator's tiny model: 2 layers x (K, V) x 1 head x 32 x 2 bytes
COSTS = Costs(
    step=0.02,
    prefill_token=1 / 4000,
    prefill_square=2e-8,
    decode_step=0.1,
    decode_sequence=0.004,
    decode_context_token=2e-6,
    transfer_bytes_per_second=2e6,
    retrieve_bytes_per_second=8e6,
)
PREFILL = Limits(4, 1024, 0, TOKEN_BYTES, sends=True)
DECODE = Limits(6, 1024, 0, TOKEN_BYTES)
WORK = Workload(rate=1.2, prompt=900, answer=14, spread=0.9)
Notices = dict[str, asyncio.Event]


@dataclass
class Ports:
    notify: int
    prefill: int
    decode: int
    init: int
    alloc: int


@dataclass
class Clock:
    began: float
    speed: float

    def now(self) -> float:
        return (asyncio.get_running_loop().time() - self.began) * self.speed


@pytest.mark.parametrize(
    ("threshold", "kv_tokens", "count", "ways"),
    [(500, 8192, 20, {"threshold": 17, "short": 3}), (5000, 2560, 10, {"short": 10})],
    ids=["disaggregated", "all-on-one-engine-that-has-too-little-room"],
)
async def test_both_tell_the_same_of_one_trace(
    tmp_path: Path, threshold: int, kv_tokens: int, count: int, ways: dict[str, int]
) -> None:
    trace = drawn(WORK, count, seed=3)
    limits = [replace(each, tokens=kv_tokens) for each in (PREFILL, DECODE)]
    prefiller, decoder = (Engine(each, COSTS) for each in limits)
    predicted = System([prefiller], [decoder], Router(threshold, None)).run(trace)
    ours = outcome_of(predicted)
    seen = list[Record]()
    for speed in SPEEDS:
        ports = Ports(*free_ports(5))
        engines = [_engine(tmp_path, ports, role, speed, kv_tokens) for role in ("prefill", "decode")]
        with engines[0] as first, engines[1] as second:
            await _healthy(first, ports.prefill)
            await _healthy(second, ports.decode)
            seen, late = await _played(ports, trace, threshold, speed)
        # Engines may be late where this process is not: what took another time than it should is played again, slower.
        if late * speed < LATE and _times(outcome_of(seen)) == _about(ours):
            break
    assert bool(decoder.preempted) == (kv_tokens < 8192)
    theirs = outcome_of(seen)
    assert theirs.ways == ours.ways == ways
    assert _times(theirs) == _about(ours)
    assert [each.arrival for each in _by_end(seen)[-3:]] == [each.arrival for each in _by_end(predicted)[-3:]]


def test_the_costs_of_the_simulator_and_of_dpd_size_have_the_same_names() -> None:
    knobs = {f"DPD_SIM_TIME_{each.name.upper()}" for each in fields(Costs)}
    readme = (ROOT / "images" / "simulator" / "README.md").read_text(encoding="utf-8")
    assert knobs == set(re.findall(r"DPD_SIM_TIME_[A-Z_]+", readme))


def _times(outcome: Outcome) -> list[float]:
    """Seconds of it all, to the first token, and between tokens."""
    return [outcome.seconds, outcome.first_token.mean, outcome.token_gap.mean]


def _about(outcome: Outcome) -> list[Any]:
    """The same, as near as they have to be."""
    return [pytest.approx(each, rel=rel) for each, rel in zip(_times(outcome), (0.05, 0.2, 0.1), strict=True)]


def _by_end(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda each: each.last or 0.0)


async def _played(ports: Ports, trace: tuple[Arrival, ...], threshold: int, speed: float) -> tuple[list[Record], float]:
    """Send the trace to a prefiller and a decoder; return what became of it, and how late timers were meanwhile."""
    async with _notices(ports.notify, len(trace)) as notices, httpx.AsyncClient(timeout=60) as client:
        lateness = asyncio.create_task(_lateness())
        clock = Clock(asyncio.get_running_loop().time(), speed)
        records = [Record(each, "threshold" if each.prompt >= threshold else "short") for each in trace]
        async with asyncio.TaskGroup() as tasks:
            for index, record in enumerate(records):
                tasks.create_task(_asked(client, ports, notices, record, index, clock))
        lateness.cancel()
        return records, await lateness


async def _asked(
    client: httpx.AsyncClient, ports: Ports, notices: Notices, record: Record, index: int, clock: Clock
) -> None:
    """Do as a router would: prefill, wait for the notice, decode; short prompts go to the decoder at once."""
    arrival = record.arrival
    await asyncio.sleep(arrival.at / clock.speed - clock.now() / clock.speed)
    prompt = [(1 << 48) + 1000 * index + at for at in range(arrival.prompt)]
    body = {"prompt": prompt, "ignore_eos": True, "temperature": 0}
    if record.reason == "threshold":
        spec = {
            "req_id": str(index),
            "receiver_host": "127.0.0.1",
            "receiver_init_port": [ports.init],
            "receiver_alloc_port": [ports.alloc],
        }
        prefill = {**body, "max_tokens": 1, "kv_transfer_params": {"disagg_spec": spec}}
        answer = await client.post(f"http://127.0.0.1:{ports.prefill}/v1/completions", json=prefill)
        assert answer.status_code == 200, answer.text
        await notices[str(index)].wait()
        record.prefilled = clock.now()
    url = f"http://127.0.0.1:{ports.decode}/v1/completions"
    async with client.stream("POST", url, json={**body, "max_tokens": arrival.answer, "stream": True}) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: {"):
                record.first = record.first or clock.now()
                record.last = clock.now()


async def _lateness() -> float:
    """How late timers are on the average, until cancelled."""
    loop, late, count = asyncio.get_running_loop(), 0.0, 0
    with suppress(asyncio.CancelledError):
        while True:
            due = loop.time() + 0.02
            await asyncio.sleep(0.02)
            late, count = late + loop.time() - due, count + 1
    return late / max(1, count)


@asynccontextmanager
async def _notices(port: int, count: int) -> AsyncIterator[Notices]:
    events = {str(index): asyncio.Event() for index in range(count)}
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.PULL)
    socket.bind(f"tcp://127.0.0.1:{port}")

    async def read() -> None:
        while True:
            events[msgspec.msgpack.decode(await socket.recv())["req_id"]].set()

    task = asyncio.create_task(read())
    try:
        yield events
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        socket.close(linger=0)
        context.term()


@contextmanager
def _engine(folder: Path, ports: Ports, role: str, speed: float, kv_tokens: int) -> Iterator[subprocess.Popen[bytes]]:
    receiver = role == "decode"
    document = {
        "enable_pd": True,
        "pd_role": "receiver" if receiver else "sender",
        "transfer_channel": "nixl",
        "pd_buffer_size": 64 * 1024**2,
        "pd_buffer_device": "cpu",
        "local_cpu": False,
        "save_unfull_chunk": True,
        **(
            {"pd_peer_host": "127.0.0.1", "pd_peer_init_port": [ports.init], "pd_peer_alloc_port": [ports.alloc]}
            if receiver
            else {"pd_proxy_host": "127.0.0.1", "pd_proxy_port": ports.notify}
        ),
    }
    file = folder / f"{role}.yaml"
    file.write_text(yaml.safe_dump(document))
    transfer = {
        "kv_connector": "LMCacheConnectorV1",
        "kv_role": "kv_consumer" if receiver else "kv_producer",
        "kv_load_failure_policy": "recompute",
        "kv_connector_extra_config": {"discard_partial_chunks": False},
    }
    limits = DECODE if receiver else PREFILL
    words = {
        "--model": "m",
        "--host": "127.0.0.1",
        "--port": str(ports.decode if receiver else ports.prefill),
        "--max-model-len": "2048",
        "--max-num-seqs": str(limits.sequences),
        "--max-num-batched-tokens": str(limits.batched),
        "--kv-transfer-config": json.dumps(transfer),
    }
    knobs = {f"DPD_SIM_TIME_{name.upper()}": repr(value) for name, value in asdict(COSTS).items()}
    env = {
        **os.environ,
        **knobs,
        "DPD_SIM_MODEL": "tiny",
        "DPD_SIM_SPEED": str(speed),
        "DPD_SIM_KV_TOKENS": str(kv_tokens),
        "PYTHONHASHSEED": "0",
        "LMCACHE_CONFIG_FILE": str(file),
    }
    flags = [word for pair in words.items() for word in pair]
    command = [sys.executable, "-m", "dpd_sim", *flags, "--no-enable-prefix-caching"]
    with (folder / f"{role}.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def _healthy(process: subprocess.Popen[bytes], port: int) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            assert process.poll() is None
            with suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
