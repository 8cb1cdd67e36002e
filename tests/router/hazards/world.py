"""Engines in this process, a router before them, and what each engine was asked: for tests that let things go wrong.

An engine is killed by taking its server away, connections, pages and all, and comes back at the same address.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from router.rig import Up, request, router
from simulator.engines import FOX, Ports, Sim, receiver_document, sender_document, sim, transfer_flag
from support.ports import free_ports

PATH = "/v1/chat/completions"
THRESHOLD = 64
LMCACHE, NIXL = "lmcache", "nixl"


@dataclass
class Seen:
    """What one life of an engine was asked: how often each request id came, and which of them were broken off."""

    submitted: Counter[str] = field(default_factory=Counter)
    aborted: list[str] = field(default_factory=list)
    with_kv: set[str] = field(default_factory=set)
    killed: bool = False


class Engine:
    """One engine at a fixed address, through all its lives."""

    def __init__(self, role: str, port: int, argv: list[str], env: dict[str, str], document: Any, ports: Ports) -> None:
        self.role = role
        self.port = port
        self.ports = ports
        self.lives: list[Seen] = []
        self.sim: Sim | None = None
        self._argv, self._env, self._document = argv, env, document
        self._stack = contextlib.AsyncExitStack()

    @property
    def seen(self) -> Seen:
        return self.lives[-1]

    @property
    def engine(self) -> Any:
        assert self.sim is not None
        return self.sim.running.parts.engine

    @property
    def pages(self) -> int:
        """Pages in use on the fullest rank."""
        assert self.sim is not None
        return max((each.buffer.used for each in self.sim.running.parts.receivers), default=0)

    @property
    def leased(self) -> int:
        pool = self.engine.scheduler.pool
        return int(pool.total - pool.free)

    async def start(self) -> None:
        argv = [*self._argv, "--port", str(self.port)]
        self.sim = await self._stack.enter_async_context(sim(*argv, env=self._env, document=self._document))
        self.lives.append(Seen())
        self._watch(self.engine, self.seen)

    async def kill(self) -> None:
        """Take it away as SIGKILL does: at once, and without a word to anybody."""
        if self.sim is not None:
            self.seen.killed = True
            self.sim.running.cut()
        self.sim = None
        await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def ask(self, path: str, body: Any) -> Any:
        """Ask it for a fault, or for an answer without a router."""
        assert self.sim is not None
        try:
            return (await self.sim.post(path, body)).json()
        except httpx.TransportError:  # a kept connection that the server had enough of just then
            return (await self.sim.post(path, body)).json()

    @staticmethod
    def _watch(engine: Any, seen: Seen) -> None:
        submit, abort = engine.submit, engine.abort

        def noted(sequence: Any) -> Any:
            seen.submitted[sequence.request_id] += 1
            if sequence.kv_params:
                seen.with_kv.add(sequence.request_id)
            return submit(sequence)

        def broken(request_id: str) -> None:
            seen.aborted.append(request_id)
            abort(request_id)

        engine.submit, engine.abort = noted, broken


@dataclass
class World:
    """Prefillers, decoders and the router before them."""

    connector: str
    prefillers: list[Engine]
    decoders: list[Engine]
    up: Up

    @property
    def engines(self) -> list[Engine]:
        return [*self.prefillers, *self.decoders]

    def lines(self, text: str) -> list[str]:
        return [line for line in self.up.lines if text in line]

    async def until(self, check: Callable[[], Any], seconds: float = 30) -> None:
        await self.up.until(check, seconds)

    async def saw(self, text: str, count: int = 1) -> None:
        """Wait until the router's log has told something."""
        await self.until(lambda: len(self.lines(text)) >= count)

    async def healthy(self) -> None:
        """Wait until the router gives work to every engine."""
        pool = self.up.router.pool
        try:
            await self.until(lambda: len(pool.all()) == len(self.engines) and all(each.up for each in pool.all()))
        except TimeoutError:
            away = [each.name for each in pool.all() if not each.up]
            dead = {each.port: (each.role, each.engine.dead) for each in self.engines if each.engine.dead}
            raise AssertionError(f"never taken up: {away} of {len(pool.all())}; dead: {dead}") from None

    async def quiet(self) -> None:
        """Wait until nothing is under way anywhere and nothing is held: no page, no lease, no room, no task."""
        try:
            await self._quiet()
        except TimeoutError:
            raise AssertionError(f"still held: {self.held()}") from None

    def held(self) -> dict[str, Any]:
        """What is under way or held at this moment."""
        pool, router = self.up.router.pool, self.up.router
        return {
            "background": len(router.background),
            "requests": len(router.doors.tasks),
            "in flight": {each.name: each.in_flight for each in pool.all() if each.in_flight},
            "room": {each.name: each.ledger.used for each in pool.all() if each.ledger.used},
            "pages": {each.port: each.pages for each in self.decoders if each.pages},
            "engines": {each.port: each.engine.requests for each in self.engines if each.engine.requests},
            "leases": {each.port: each.leased for each in self.prefillers if self.connector == NIXL and each.leased},
        }

    async def _quiet(self) -> None:
        pool, background = self.up.router.pool, self.up.router.background
        await self.until(lambda: not len(background) and not self.up.router.doors.tasks)
        await self.until(lambda: not any(each.in_flight for each in pool.all()))
        await self.until(lambda: not any(each.ledger.used for each in pool.all()))
        await self.until(lambda: not any(each.pages for each in self.decoders))
        await self.until(lambda: not any(each.engine.requests for each in self.engines))
        if self.connector == NIXL:
            await self.until(lambda: not any(each.leased for each in self.prefillers))

    async def serves(self, body: dict[str, Any] | None = None) -> None:
        """A long prompt is answered by both roles, and the answer is the right one."""
        body = body or long("is all well?")
        expected = await answer_of(self.decoders[0], body)
        mark = len(self.lines("route=disaggregated"))
        assert (await self.post(body)).text == expected
        try:
            await self.saw("route=disaggregated", mark + 1)
        except TimeoutError:
            raise AssertionError("not by both roles:\n" + "\n".join(self.up.lines[-10:])) from None
        await self.quiet()

    async def post(self, body: dict[str, Any], path: str = PATH) -> "Answer":
        """Ask as a client that waits for its answer."""
        return read(await self.up.post(body, path))

    @contextlib.asynccontextmanager
    async def client(self, body: dict[str, Any]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A client that has asked, and leaves when the block ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.up.port)
        try:
            writer.write(request(body, PATH))
            yield reader, writer
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@dataclass(frozen=True)
class Answer:
    """A response: `whole` is whether it ended as it should, `text` what was said."""

    status: int
    text: str
    whole: bool
    raw: bytes


def read(raw: bytes) -> Answer:
    """Read everything a connection brought."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head else 0
    if b"text/event-stream" in head.lower():
        events = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
        parsed = [json.loads(each) for each in events if each != b"[DONE]"]
        text = "".join(each["choices"][0]["delta"].get("content") or "" for each in parsed if each.get("choices"))
        failed = any("error" in each for each in parsed)
        return Answer(status, text, events[-1:] == [b"[DONE]"] and not failed, raw)
    try:
        parsed_body = json.loads(body)
    except ValueError:
        return Answer(status, "", False, raw)
    choices = parsed_body.get("choices")
    return Answer(status, choices[0]["message"]["content"] if choices else "", True, raw)


def long(salt: str, sentences: int = 40, **more: Any) -> dict[str, Any]:
    """A prompt beyond the threshold: about ten tokens a sentence; `salt` makes it its own."""
    content = f"{salt} {FOX * sentences}"
    return {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0, **more}


def short(salt: str, **more: Any) -> dict[str, Any]:
    return long(salt, 1, **more)


async def answer_of(decoder: Engine, body: dict[str, Any]) -> str:
    """What a decoder says by itself."""
    found = await decoder.ask(PATH, {**body, "stream": False})
    return str(found["choices"][0]["message"]["content"])


@contextlib.asynccontextmanager
async def world(
    connector: str = LMCACHE,
    prefillers: int = 1,
    decoders: int = 1,
    pages: int = 64,
    known: bool = True,
    env: dict[str, str] | None = None,
    **sections: Any,
) -> AsyncIterator[World]:
    """Run it all; `known` is whether the router is told how many pages a decoder's buffer has."""
    notify = free_ports(1)[0]
    made = [
        _engine(connector, role, notify, pages, env or {})
        for role in ("prefill",) * prefillers + ("decode",) * decoders
    ]
    transfer = {"connector": NIXL} if connector == NIXL else _transfer(notify, pages if known else None)
    transfer = {**transfer, **sections.pop("transfer", {})}
    pools = {role: [_entry(each) for each in made if each.role == role] for role in ("prefill", "decode")}
    timeouts = {"graceSeconds": 5, "prefillSeconds": 10, **sections.pop("timeouts", {})}
    routing = {"threshold": THRESHOLD, **sections.pop("routing", {})}
    async with contextlib.AsyncExitStack() as stack:
        for each in made:
            await each.start()
            stack.push_async_callback(each.kill)
        up = await stack.enter_async_context(
            router(transfer=transfer, pools=pools, timeouts=timeouts, routing=routing, **sections)
        )
        found = World(connector, made[:prefillers], made[prefillers:], up)
        await found.healthy()
        yield found


def _transfer(notify: int, pages: int | None) -> dict[str, Any]:
    ports = {"initPorts": [1], "allocPorts": [2]}  # each decoder names its own
    room = {"pagesPerDecoder": pages} if pages else {}
    return {"connector": LMCACHE, **ports, "notify": {"host": "127.0.0.1", "port": notify}, "readySeconds": 1, **room}


def _entry(engine: Engine) -> dict[str, Any]:
    entry: dict[str, Any] = {"host": "127.0.0.1", "port": engine.port}
    if engine.role == "decode":
        entry |= {"initPorts": engine.ports.init, "allocPorts": engine.ports.alloc}
    return entry


def _engine(connector: str, role: str, notify: int, pages: int, env: dict[str, str]) -> Engine:
    port, side = free_ports(2)
    picked = Ports.pick(1)
    ports = Ports(notify, picked.init, picked.alloc)
    kind = "kv_producer" if role == "prefill" else "kv_consumer"
    if connector == NIXL:
        channel = {"VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1", "VLLM_NIXL_SIDE_CHANNEL_PORT": str(side)}
        argv = ["--no-enable-prefix-caching", *transfer_flag(kind, "NixlConnector")]
        return Engine(role, port, argv, {**env, **channel}, None, ports)
    if role == "prefill":
        return Engine(role, port, transfer_flag(kind), env, sender_document(ports), ports)
    argv = ["--no-enable-prefix-caching", *transfer_flag(kind)]
    return Engine(role, port, argv, env, receiver_document(ports, pages), ports)
