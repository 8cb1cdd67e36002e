"""The engine's loop: plan a step, load, sleep for its forward pass, save, sample. All awaiting is here and in `pd`.

One step at a time, as in the real engine: when `save` does not return, nothing moves, and the HTTP server in front of
it cannot tell. Any exception ends the engine for good.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from dpd_sim.core.request import Finish, Sequence
from dpd_sim.core.schedule import Plan, Scheduler
from dpd_sim.core.text import State
from dpd_sim.core.timing import Timing
from dpd_sim.log import Log
from dpd_sim.metrics.stats import Stats
from dpd_sim.pd.connector import Connector


class EngineDeadError(Exception):
    """The engine has died; every request fails with status 500 from now on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer: its id, the state it was drawn from, the text that may be sent by now."""

    token: int
    before: State
    text: str
    finish: Finish | None


@dataclass(slots=True)
class Stream:
    """One request's way back to its handler: steps, or the exception that ended it."""

    sequence: Sequence
    queue: asyncio.Queue[Step | Exception] = field(default_factory=asyncio.Queue)

    async def next(self) -> Step:
        """Wait for the next step. Raises EngineDeadError."""
        item = await self.queue.get()
        match item:
            case Step():
                return item
            case _:
                raise item


@dataclass(slots=True)
class Faults:
    """What an operator or a test asked to go wrong."""

    hang: asyncio.Event | None = None
    kill: str | None = None
    delay: float = 0.0
    fail_loads: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """The engine's surroundings. `clock` counts simulated seconds and `pause` sleeps them."""

    timing: Timing
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    log: Log
    step_limit: float | None
    recompute: bool
    publish: Callable[[list[list[Any]]], None]


class Engine:
    """One engine core and its requests."""

    def __init__(self, scheduler: Scheduler, connector: Connector, machine: Machine, stats: Stats):
        self.faults = Faults()
        connector.on_change(self.kick)
        self.dead: str | None = None
        self.connector = connector
        self.scheduler = scheduler
        self._machine = machine
        self._stats = stats
        self._streams: dict[str, Stream] = {}
        self._aborts: list[str] = []
        self._wake = asyncio.Event()

    def now(self) -> float:
        """Simulated seconds."""
        return self._machine.clock()

    @property
    def requests(self) -> int:
        """Requests not yet finished."""
        return len(self._streams)

    def submit(self, sequence: Sequence) -> Stream:
        """Queue a request. Raises EngineDeadError."""
        if self.dead is not None:
            raise EngineDeadError(self.dead)
        stream = self._streams[sequence.request_id] = Stream(sequence)
        self.scheduler.add(sequence)
        self._stats.gauges(self.scheduler)
        self._wake.set()
        return stream

    def abort(self, request_id: str) -> None:
        """Ask for a request's end; it takes effect between two steps."""
        if request_id in self._streams:
            self._aborts.append(request_id)
            self._wake.set()

    def kick(self) -> None:
        """Let the loop look at its faults and its connector now."""
        self._wake.set()

    def stop(self) -> None:
        """End every request; for a server that is going away."""
        if self.dead is None:
            self._end_all("the server is shutting down")

    async def run(self) -> None:
        """Serve until cancelled; returns when the engine has died."""
        try:
            while True:
                await self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, a real engine dies of it
            self._die(f"{type(error).__name__}: {error}")

    async def _turn(self) -> None:
        self._wake.clear()
        if self.faults.hang is not None:
            await self.faults.hang.wait()
        if self.faults.kill is not None:
            raise EngineDeadError(self.faults.kill)
        self._drop_aborted()
        for sequence in self.connector.tick():
            self.scheduler.free(sequence)
        before = self.scheduler.preemptions
        plan = self.scheduler.plan(self.connector.matched)
        if not plan:
            self._stats.gauges(self.scheduler)
            await self._wake.wait()
            return
        await self._step(plan, self.scheduler.preemptions - before)

    async def _step(self, plan: Plan, preempted: int) -> None:
        now = self.now()
        for sequence in plan.admitted:
            if sequence.admitted is None:
                sequence.admitted = now
                self._stats.admitted(sequence, now)
        self._stats.gauges(self.scheduler)
        self._stats.step(plan, preempted)
        limit = self._machine.step_limit
        try:
            async with asyncio.timeout(limit):
                await self._compute(plan)
        except TimeoutError:
            raise EngineDeadError(f"RPC call to sample_tokens timed out after {limit} s") from None
        self._sample(plan)
        self._machine.publish(self.scheduler.events.take())

    async def _compute(self, plan: Plan) -> None:
        failed = [load.sequence for load in plan.loads][: self.faults.fail_loads]
        self.faults.fail_loads -= len(failed)
        await self.connector.load(plan.loads)
        if failed:
            self._failed(plan, failed)
        pieces = [(piece.new, piece.before) for piece in plan.prefills]
        contexts = [sequence.tokens for sequence in plan.decodes]
        await self._machine.pause(self._machine.timing.forward(pieces, contexts) + self.faults.delay)
        await self.connector.save(plan)

    def _failed(self, plan: Plan, sequences: list[Sequence]) -> None:
        """Send sequences whose KV did not come back to be computed here, or fail as vLLM's default policy does."""
        if not self._machine.recompute:
            raise EngineDeadError(
                "kv_load_failure_policy=fail: Counters can only be incremented by non-negative amounts"
            )
        plan.prefills = [piece for piece in plan.prefills if piece.sequence not in sequences]
        for sequence in sequences:
            sequence.reload = False
            sequence.external = 0
            self.scheduler.requeue(sequence)

    def _sample(self, plan: Plan) -> None:
        for piece in plan.prefills:
            self.scheduler.done(piece.sequence, piece.new)
            if piece.sequence.computed >= piece.sequence.tokens:
                self._token(piece.sequence)
        for sequence in plan.decodes:
            self.scheduler.done(sequence, 1)
            self._token(sequence)
        self._stats.gauges(self.scheduler)

    def _token(self, sequence: Sequence) -> None:
        now = self.now()
        before = sequence.begin()
        token = sequence.advance()
        self._stats.token(sequence, now)
        sequence.last_token = now
        if sequence.first_token is None:
            sequence.first_token = now
        stream = self._streams.get(sequence.request_id)
        if sequence.finish:
            self._end(sequence)
        if stream is not None:
            stream.queue.put_nowait(Step(token, before, sequence.safe_text(), sequence.finish))

    def _end(self, sequence: Sequence) -> None:
        self.scheduler.remove(sequence, keep_blocks=self.connector.holds(sequence))
        sequence.result_kv = self.connector.finished(sequence)
        self._stats.finished(sequence, self.now())
        self._streams.pop(sequence.request_id, None)

    def _drop_aborted(self) -> None:
        aborted, self._aborts = self._aborts, []
        for request_id in aborted:
            stream = self._streams.get(request_id)
            if stream is not None and stream.sequence.finish is None:
                stream.sequence.finish = "abort"
                self._end(stream.sequence)

    def _die(self, reason: str) -> None:
        self._machine.log.vllm("ERROR", f"EngineCore encountered a fatal error: {reason}")
        self._end_all(reason)

    def _end_all(self, reason: str) -> None:
        self.dead = reason
        for stream in self._streams.values():
            stream.queue.put_nowait(EngineDeadError(reason))
        self._streams.clear()
