"""Engines in this process, on free ports, with their log lines and a client each."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import zmq
import zmq.asyncio

from dpd_sim import flags
from dpd_sim.log import Log
from dpd_sim.server import Running, running
from dpd_sim.settings import Knobs, Settings
from support.ports import free_ports

PAGE = 256 * 256
"""Bytes of one page of the tiny model: 256 tokens of 2 layers x (K, V) x 1 head x 32 x 2 bytes."""
BASE_ENV = {
    "PYTHONHASHSEED": "0",
    "DPD_SIM_MODEL": "tiny",
    "DPD_SIM_SPEED": "200",
    "DPD_SIM_ADMIN": "1",
    "DPD_SIM_METRICS_LAG": "0",
    "PROMETHEUS_MULTIPROC_DIR": "shown",
}
FOX = "The quick brown fox jumps over the lazy dog. "


@dataclass(slots=True)
class Sim:
    """One served engine."""

    http: httpx.AsyncClient
    lines: list[str]
    running: Running

    async def post(self, path: str, body: Any, **kwargs: Any) -> httpx.Response:
        return await self.http.post(path, json=body, **kwargs)

    async def answer(self, body: Mapping[str, Any], path: str = "/v1/chat/completions") -> dict[str, Any]:
        response = await self.post(path, body)
        assert response.status_code == 200, response.text
        result: dict[str, Any] = response.json()
        return result

    async def text(self, body: Mapping[str, Any]) -> str:
        return str((await self.answer(body))["choices"][0]["message"]["content"])

    async def state(self) -> dict[str, Any]:
        result: dict[str, Any] = (await self.http.get("/sim/state")).json()
        return result

    async def used(self) -> list[int]:
        return [rank["used"] for rank in (await self.state())["pages"]]

    async def health(self) -> int:
        return (await self.http.get("/health")).status_code

    async def metric(self, start: str) -> float:
        """The sum of the samples whose line starts so."""
        text = (await self.http.get("/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start))

    def grep(self, word: str) -> list[str]:
        return [line for line in self.lines if word in line]


def settings(argv: list[str], env: Mapping[str, str], document: Mapping[str, Any] | None = None) -> Settings:
    return Settings(flags.parse(argv), Knobs.read(env), env, document)


@contextlib.asynccontextmanager
async def sim(
    *argv: str, env: Mapping[str, str] | None = None, document: Mapping[str, Any] | None = None
) -> AsyncIterator[Sim]:
    lines: list[str] = []
    words = ["--model", "m", "--host", "127.0.0.1", "--port", "0", "--max-model-len", "16384", *argv]
    made = settings(words, {**BASE_ENV, **(env or {})}, document)
    async with (
        running(made, Log(lines.append, made.ranks)) as served,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=20) as client,
    ):
        yield Sim(client, lines, served)


def transfer_flag(
    role: str, connector: str = "LMCacheConnectorV1", policy: str = "recompute", **extra: Any
) -> list[str]:
    value = {
        "kv_connector": connector,
        "kv_role": role,
        "kv_load_failure_policy": policy,
        "kv_connector_extra_config": {"discard_partial_chunks": False, **extra},
    }
    return ["--kv-transfer-config", json.dumps(value)]


@dataclass(slots=True)
class Pair:
    """A sender and a receiver, and the notices the sender's ranks pushed."""

    sender: Sim
    receiver: Sim
    pull: zmq.asyncio.Socket
    init: list[int]
    alloc: list[int]
    ranks: int
    seen: list[str] = field(default_factory=list)

    def spec(self, req_id: str | None = None, **changes: Any) -> dict[str, Any]:
        base = {
            "req_id": req_id or str(uuid.uuid4()),
            "receiver_host": "127.0.0.1",
            "receiver_init_port": self.init,
            "receiver_alloc_port": self.alloc,
        }
        return {**base, **changes}

    async def prefill(
        self, body: Mapping[str, Any], tag: str | None = "a", notices: int | None = None, **kv: Any
    ) -> Any:
        """Prefill a chat request and wait for its notices (one per rank unless told)."""
        params = {"disagg_spec": self.spec(), **tagged(tag), **kv}
        answer = await self.sender.answer({**body, "max_tokens": 1, "kv_transfer_params": params})
        got = [await self.notice() for _ in range(self.ranks if notices is None else notices)]
        assert got == [params["disagg_spec"]["req_id"]] * len(got)
        return answer

    async def decode(self, body: Mapping[str, Any], tag: str | None = "a") -> str:
        return await self.receiver.text({**body, "kv_transfer_params": tagged(tag)})

    async def notice(self, seconds: float = 5) -> str:
        message = msgspec.msgpack.decode(await asyncio.wait_for(self.pull.recv(), seconds))
        assert message["type"] == "ProxyNotif"
        return str(message["req_id"])

    async def silent(self, seconds: float = 0.2) -> bool:
        """Whether no notice comes for a while."""
        return not await self.pull.poll(int(seconds * 1000))


def tagged(tag: str | None) -> dict[str, str]:
    return {"lmcache.tag.p": tag} if tag else {}


def chat(sentences: int, **extra: Any) -> dict[str, Any]:
    """A chat request of about ten tokens a sentence; `salt` makes the prompt its own."""
    salt = extra.pop("salt", "")
    content = f"{salt} {FOX * sentences}" if salt else FOX * sentences
    return {
        "model": "m",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 12,
        "temperature": 0,
        **extra,
    }


@dataclass(frozen=True, slots=True)
class Ports:
    notify: int
    init: list[int]
    alloc: list[int]

    @classmethod
    def pick(cls, ranks: int) -> "Ports":
        notify, *rest = free_ports(1 + 2 * ranks)
        return cls(notify, rest[:ranks], rest[ranks:])


def sender_document(ports: Ports, pages: int = 128, **changes: Any) -> dict[str, Any]:
    return {
        "enable_pd": True,
        "pd_role": "sender",
        "transfer_channel": "nixl",
        "pd_buffer_size": pages * PAGE,
        "pd_buffer_device": "cpu",
        "pd_proxy_host": "127.0.0.1",
        "pd_proxy_port": ports.notify,
        "local_cpu": False,
        "save_unfull_chunk": True,
        **changes,
    }


def receiver_document(ports: Ports, pages: int = 128, **changes: Any) -> dict[str, Any]:
    return {
        "enable_pd": True,
        "pd_role": "receiver",
        "transfer_channel": "nixl",
        "pd_buffer_size": pages * PAGE,
        "pd_buffer_device": "cpu",
        "pd_peer_host": "127.0.0.1",
        "pd_peer_init_port": ports.init,
        "pd_peer_alloc_port": ports.alloc,
        "local_cpu": False,
        "save_unfull_chunk": True,
        **changes,
    }


@contextlib.contextmanager
def puller(port: int) -> Any:
    """A router's PULL socket."""
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.PULL)
    socket.bind(f"tcp://127.0.0.1:{port}")
    try:
        yield socket
    finally:
        socket.close(linger=0)
        context.term()


@contextlib.asynccontextmanager
async def pair(
    pages: int = 128,
    ranks: int = 2,
    sender: Mapping[str, Any] | None = None,
    receiver: Mapping[str, Any] | None = None,
    sender_args: list[str] | None = None,
    receiver_args: list[str] | None = None,
    policy: str = "recompute",
    skip_last: int = 0,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Pair]:
    ports = Ports.pick(ranks)
    common = ["--tensor-parallel-size", str(ranks)]
    consumer = transfer_flag("kv_consumer", policy=policy, skip_last_n_tokens=skip_last)
    with puller(ports.notify) as pull:
        async with (
            sim(
                *common,
                *(receiver_args if receiver_args is not None else ["--no-enable-prefix-caching"]),
                *consumer,
                env=env,
                document=receiver_document(ports, pages, **(receiver or {})),
            ) as decoder,
            sim(
                *common,
                *(sender_args or []),
                *transfer_flag("kv_producer"),
                env=env,
                document=sender_document(ports, **(sender or {})),
            ) as prefiller,
        ):
            yield Pair(prefiller, decoder, pull, ports.init, ports.alloc, ranks)


async def settled(check: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait until an async check holds."""
    for _ in range(int(seconds / 0.01)):
        if await check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")
