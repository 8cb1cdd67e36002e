"""NixlConnector: a decoder pulls a prefiller's blocks, which stay leased until they are read or their time runs out.

The decoder reads beside its steps: a sequence waits without holding up the others. In the real engine the read is
one-sided and goes to memory; here it is a message on the prefiller's side channel.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio

from dpd_sim.core.request import Sequence
from dpd_sim.core.schedule import Load, Plan
from dpd_sim.core.timing import Timing
from dpd_sim.log import Log
from dpd_sim.metrics.registry import Registry
from dpd_sim.pd import wire

HANDSHAKE_SECONDS = 5.0
FAILED = "kv_load_failure_policy=fail: Counters can only be incremented by non-negative amounts"


@dataclass(frozen=True, slots=True)
class NixlFacts:
    """What the connector knows of its engine. Times are simulated seconds; `patience` is a real one's time-out."""

    model: str
    dtype: str
    ranks: int
    host: str
    port: int
    block_size: int
    block_bytes: int
    lease: float
    patience: float
    recompute: bool
    timing: Timing
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    log: Log
    metrics: Registry
    engine_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class PullError(Exception):
    """A prefiller's blocks could not be read."""


class NixlConnector:
    """Both halves: a prefiller leases, a decoder pulls. Raises zmq.ZMQError when the side channel cannot be bound."""

    def __init__(self, facts: NixlFacts):
        self._facts = facts
        self._context = zmq.asyncio.Context()
        self._side = self._context.socket(zmq.REP)
        try:
            self._side.bind(f"tcp://{facts.host}:{facts.port}")
        except zmq.ZMQError:
            self._context.destroy(linger=0)
            raise
        self._tasks: set[asyncio.Task[None]] = set()
        self._leases: dict[str, tuple[Sequence, float]] = {}
        self._given_up: list[Sequence] = []
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._wake: Callable[[], None] = lambda: None
        self._spawn(self._serve())

    def on_change(self, wake: Callable[[], None]) -> None:
        """Remember whom to wake when a read has ended or a lease was given up."""
        self._wake = wake

    def matched(self, sequence: Sequence, local: int) -> int | None:
        """Start the read of a sequence's blocks on the first call; None until it has ended."""
        if not sequence.kv_params.get("do_remote_prefill"):
            return 0
        pull = self._pulls.get(sequence.request_id)
        if pull is None:
            pull = self._pulls[sequence.request_id] = self._spawn(self._pull(sequence, local))
        if not pull.done():
            return None
        error = pull.exception()
        if error is None:
            return max(0, len(sequence.prompt) - 1 - local)
        if not self._facts.recompute:
            raise PullError(f"{FAILED} ({error})")
        return 0

    async def load(self, loads: list[Load]) -> None:
        """What was read is there already; it is there once, so a preempted sequence is computed here."""
        for load in loads:
            load.sequence.reload = False

    async def save(self, plan: Plan) -> None:
        """Nothing: blocks are pulled, not pushed."""

    def finished(self, sequence: Sequence) -> dict[str, Any] | None:
        """What the decoder must be told to find the blocks; nothing when the answer ended otherwise than by length."""
        self._forget_pull(sequence)
        if sequence.request_id not in self._leases:
            return None
        facts = self._facts
        return {
            "do_remote_prefill": True,
            "do_remote_decode": False,
            "remote_block_ids": list(range(-(-len(sequence.prompt) // facts.block_size))),
            "remote_engine_id": facts.engine_id,
            "remote_request_id": sequence.request_id,
            "remote_host": facts.host,
            "remote_port": facts.port,
            "tp_size": facts.ranks,
        }

    def holds(self, sequence: Sequence) -> bool:
        """Lease the blocks of a prefill that ended by length."""
        leased = bool(sequence.kv_params.get("do_remote_decode")) and sequence.finish == "length"
        if leased:
            self._leases[sequence.request_id] = (sequence, self._facts.clock() + self._facts.lease)
        return leased

    def tick(self) -> list[Sequence]:
        """Give up leases that were read or ran out; the latter is looked at only when the engine has work."""
        now = self._facts.clock()
        for request_id, (sequence, until) in list(self._leases.items()):
            if until <= now:
                del self._leases[request_id]
                self._given_up.append(sequence)
                self._facts.metrics.add("vllm:nixl_num_kv_expired_reqs")
        given_up, self._given_up = self._given_up, []
        return given_up

    async def close(self) -> None:
        """End reads and the side channel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._context.destroy(linger=0)

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
        self._wake()

    def _forget_pull(self, sequence: Sequence) -> None:
        """A decode aborted before its read began still frees the prefiller's blocks."""
        begun = self._pulls.pop(sequence.request_id, None)
        if begun is None and sequence.kv_params.get("do_remote_prefill"):
            self._spawn(self._ask(sequence, wire.SideRead(str(sequence.kv_params.get("remote_request_id")), [])))

    async def _serve(self) -> None:
        facts = self._facts
        while True:
            match wire.unpack_side(await self._side.recv()):
                case wire.SideRead(request_id, _):
                    lease = self._leases.pop(request_id, None)
                    if lease is not None:
                        self._given_up.append(lease[0])
                        self._wake()
                    answer: wire.SideMessage = wire.SideDone(lease is not None)
                case _:
                    answer = wire.SideMeta(facts.model, facts.dtype, facts.engine_id)
            await self._side.send(wire.pack(answer))

    async def _pull(self, sequence: Sequence, local: int) -> None:
        facts, params = self._facts, sequence.kv_params
        blocks = list(params.get("remote_block_ids") or [])[local // facts.block_size :]
        size, began = len(blocks) * facts.block_bytes, facts.clock()
        try:
            meta = await self._ask(sequence, wire.SideMeta(facts.model, facts.dtype, facts.engine_id))
            wanted = wire.SideMeta(facts.model, facts.dtype, str(params.get("remote_engine_id")))
            if meta != wanted:
                raise PullError(f"handshake: {meta}, wanted {wanted}")
            await facts.pause(facts.timing.transfer(size))
            done = await self._ask(sequence, wire.SideRead(str(params.get("remote_request_id")), blocks))
        except (TimeoutError, PullError, zmq.ZMQError) as error:
            facts.metrics.add("vllm:nixl_num_failed_transfers")
            facts.log.vllm("ERROR", f"NIXL transfer failure for request {sequence.request_id}: {error!r}")
            raise PullError(repr(error)) from error
        if done != wire.SideDone(True):
            sequence.garbled = True  # the blocks belong to somebody else by now, and nobody notices
        self._report(size, facts.clock() - began)

    def _report(self, size: int, seconds: float) -> None:
        total = size * self._facts.ranks
        self._facts.metrics.observe("vllm:nixl_xfer_time_seconds", seconds)
        self._facts.metrics.observe("vllm:nixl_bytes_transferred", total)
        text = f"Avg xfer time (ms)={seconds * 1000:.3f}, Avg MB per transfer={total / 2**20:.3f}"
        self._facts.log.vllm("INFO", f"KV Transfer metrics: Num successful transfers=1, {text}")

    async def _ask(self, sequence: Sequence, message: wire.SideMessage) -> wire.SideMessage:
        """One question on the prefiller's side channel. Raises TimeoutError when nobody answers."""
        params = sequence.kv_params
        socket = self._context.socket(zmq.REQ)
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(f"tcp://{params.get('remote_host')}:{params.get('remote_port')}")
            await socket.send(wire.pack(message))
            return wire.unpack_side(await asyncio.wait_for(socket.recv(), self._facts.patience))
        finally:
            socket.close(linger=0)
