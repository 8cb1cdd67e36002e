"""A seeded crowd: clients that stay or leave at any moment, engines that fail at any moment, and what must hold.

Nothing waits for the clock: a fault comes when so many requests have ended, so that a slow machine sees the same run.
"""

import asyncio
import contextlib
import gc
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router.hazards.world import LMCACHE, NIXL, PATH, Engine, World, answer_of, long, read, short, world
from router.rig import request

CLIENTS = 16
LEAVE = 0.25
FAULT_EVERY = 25
# Simulated seconds, half a minute of ours: blocks that are fetched after their lease are another prompt's, and nobody
# notices, not even vLLM. Its own 480 would be 2.4 seconds here, which a busy machine lets pass.
LEASE = "6000"
PATIENCE = 60.0
SIZES = (6, 10, 20, 30, 45)
INJECTED = {400, 408, 429, 500, 503}
# What the router itself may answer while engines come and go.
OWN = {502, 503}


@dataclass
class Tally:
    """How a run went: what became of requests, which faults there were, and all that was wrong."""

    requests: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.requests} requests: {dict(self.ended)}; faults: {dict(self.faults)}"


@dataclass
class Fuzz:
    """One run over one world."""

    w: World
    draw: random.Random
    count: int
    cases: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    started: int = 0
    over: bool = False
    step: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> Tally:
        for size in SIZES:
            for number in range(3):
                body = long(f"case {size} {number}", size)
                self.cases.append((body, await answer_of(self.w.decoders[0], body)))
        body = short("a short one")
        self.cases.append((body, await answer_of(self.w.decoders[0], body)))
        chaos = asyncio.create_task(self._chaos())
        await asyncio.gather(*(self._client(random.Random(self.draw.random())) for _ in range(CLIENTS)))
        self.over = True
        self.step.set()
        await chaos
        return self.tally

    async def _client(self, draw: random.Random) -> None:
        while self.started < self.count:
            self.started += 1
            body, expected = draw.choice(self.cases)
            body = {**body, "stream": draw.random() < 0.5}
            try:
                async with asyncio.timeout(PATIENCE):
                    leaves = draw.random() < LEAVE
                    end = await (self._leave(draw, body) if leaves else self._stay(body, expected))
            except TimeoutError:
                end = "no answer"
                self.tally.wrong.append(f"request {self.started}: no answer in {PATIENCE:g} s")
            self.tally.ended[end] += 1
            self.tally.requests += 1
            self.step.set()

    async def _leave(self, draw: random.Random, body: dict[str, Any]) -> str:
        body = {**body, "max_tokens": draw.choice((8, 200))}
        reader, writer = await asyncio.open_connection("127.0.0.1", self.w.up.port)
        try:
            writer.write(request(body, PATH))
            for _ in range(draw.randrange(12)):  # as many turns of the loop as it likes
                await asyncio.sleep(draw.choice((0, 0, 0.001, 0.004)))
            if draw.random() < 0.3:
                await reader.read(draw.randrange(1, 600))
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        return "left"

    async def _stay(self, body: dict[str, Any], expected: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.w.up.port)
        try:
            writer.write(request(body, PATH, b"connection: close\r\n"))
            raw = await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        answer = read(raw)
        if answer.status == 200 and answer.whole:
            if answer.text != expected:
                self.tally.wrong.append(f"another answer: {answer.text!r} instead of {expected!r}")
            return "answered"
        if answer.status == 200:
            if b"error" not in raw and answer.text and not body["stream"]:
                self.tally.wrong.append(f"cut off without a word: {raw[-200:]!r}")
            return "broken off"
        if answer.status not in INJECTED | OWN or not answer.whole:
            self.tally.wrong.append(f"an answer nobody caused: {raw[:300]!r}")
        return f"refused {answer.status}"

    async def _chaos(self) -> None:
        at = FAULT_EVERY
        while await self._stepped():
            if self.tally.requests >= at:
                at += FAULT_EVERY
                await self._fault()

    async def _stepped(self) -> bool:
        """Wait until another request has ended; say whether more will."""
        await self.step.wait()
        self.step.clear()
        return not self.over

    async def _fault(self) -> None:
        kinds = ("errors", "errors", "delay", "step", "loads", "kill prefiller", "kill decoder", "engine dies")
        kind = self.draw.choice(kinds)
        self.tally.faults[kind] += 1
        prefiller, decoder = self.draw.choice(self.w.prefillers), self.draw.choice(self.w.decoders)
        either = self.draw.choice((prefiller, decoder))
        match kind:
            case "errors":
                status = self.draw.choice(sorted(INJECTED))
                await either.ask("/sim/errors", {"count": self.draw.randint(1, 2), "status": status})
            case "delay":
                await either.ask("/sim/delay", {"count": 3, "seconds": 0.05})
            case "step":
                await either.ask("/sim/delay", {"step": self.draw.choice((0, 0.5, 2))})
            case "loads":
                await decoder.ask("/sim/fail-loads", {"count": 1})
            case "kill prefiller":
                await prefiller.restart()
            case "kill decoder":
                await self._replace(decoder)
            case "engine dies":
                either.seen.killed = True
                await either.ask("/sim/kill", {"reason": "fuzz"})
                await self._replace(either)

    async def _replace(self, engine: Engine) -> None:
        """Restart an engine, and with a decoder the LMCache prefillers that would wait for the old one for ever."""
        await engine.restart()
        if engine.role == "decode" and self.w.connector == LMCACHE:
            for each in self.w.prefillers:
                await each.restart()


async def settled(w: World) -> None:
    """Wait until nothing is held; a NixlConnector prefiller looks at its leases only while it has work."""
    for each in w.engines:
        await each.ask("/sim/delay", {"step": 0})
        await each.ask("/sim/errors", {"count": 0})  # those that nobody has met yet would spoil the last request
    await w.healthy()
    for _ in range(800 if w.connector == NIXL else 0):
        if not any(each.leased for each in w.prefillers):
            break
        for each in w.prefillers:
            await answer_of(each, short("look at your leases"))
        await asyncio.sleep(0.05)
    await w.quiet()


def held(w: World) -> list[str]:
    """Everything that should not be as it is after a run: twice decoded, broken off."""
    found: list[str] = []
    decodes: Counter[str] = Counter()
    for each in w.decoders:
        for life in each.lives:
            decodes.update(life.submitted)
            found += [f"decoded {times} times by one: {name}" for name, times in life.submitted.items() if times > 1]
    # A decoder that dies before the client knows of an answer is stood in for, once.
    found += [f"decoded {times} times: {name}" for name, times in decodes.items() if times > 2]
    for each in w.prefillers:
        found += [f"prefill broken off: {name}" for life in each.lives if not life.killed for name in life.aborted]
    return found


def alive() -> set[object]:
    """This process's tasks, and its open descriptors, each with what it is open on."""
    found: set[object] = set(asyncio.all_tasks())
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them is gone by now
            found.add(f"descriptor {each.name}: {each.readlink()}")
    return found


async def fuzz(connector: str, seed: int, count: int) -> Tally:
    """Run a crowd of `count` requests and return how it went; raises AssertionError when something was wrong."""
    print(f"fuzz: connector={connector} seed={seed} requests={count} pid={os.getpid()}")
    gc.collect()  # boto3's sockets from other tests wait in cycles, and would go some time in the middle
    before = alive()
    room = {"roomSeconds": 2, "usageSeconds": 0.2, "readySeconds": 0.2} if connector == LMCACHE else {}
    timeouts = {"prefillSeconds": 3, "graceSeconds": 10}
    env = {"VLLM_NIXL_ABORT_REQUEST_TIMEOUT": LEASE}
    async with world(connector, 2, 2, pages=48, env=env, transfer=room, timeouts=timeouts) as w:
        tally = await Fuzz(w, random.Random(seed), count).run()
        await settled(w)
        tally.wrong += held(w)
        await w.serves()
    print(f"fuzz: {tally}")
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    left = alive() - before
    assert not left, f"left behind: {left}"
    return tally
