"""The way of plain requests, from the client's connection to an engine's in one step, and what is told of them after.

Plain is what most requests are: a short prompt, or any where nothing is disaggregated, for an engine to which there is a
kept connection. What is decided is what the path decides, by the same stages, and told as the path tells it; what
is left out is tasks, events and parsers. What is not plain goes down the path from its beginning; what turns out not to
be (an engine that refuses, breaks off or is silent) is handed to it with what has happened so far.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

import msgspec

from dpd_router.api import Kind, Routes
from dpd_router.api.routes import ALIAS, RESPONSES
from dpd_router.bodies import EXTRA, KEY
from dpd_router.chooser import Chooser
from dpd_router.errors import RouterError, UnavailableError
from dpd_router.path import Path
from dpd_router.pool import Pool, Worker
from dpd_router.stages.estimate import estimate
from dpd_router.stages.observe import Record, decided, decode_sent, said_of
from dpd_router.stages.route import of_short
from dpd_router.stages.stream import joined, posted
from dpd_router.trace import Trace
from dpd_router.types import Ask, Body, End, Outcome, Policy, Reason, Route, Step
from dpd_router.wire.deadlines import Deadlines
from dpd_router.wire.downstream import Doors
from dpd_router.wire.exchange import Answering, Exchange
from dpd_router.wire.legs import WireLegs
from dpd_router.wire.quick import QuickLeg

MOST_BYTES = 16 * 1024  # of a body that is parsed at once, in the turn that reads it
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SAID: dict[Reason, Callable[[], str]] = {reason: said_of(Route.DIRECT, reason).__str__ for reason in Reason}
_OK = 200


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told: `line` takes a line and a request's id, `report` one that has ended, `caller` a key's name and a
    status, `error` what went wrong here."""

    line: Callable[[str, str], None]
    report: Callable[[Record], None]
    caller: Callable[[str, int], None]
    error: Callable[[str], None]


@dataclass(slots=True, eq=False)
class _Flight:
    """One request on the fast path. Times are those of the path's clock; `trial`: its worker is on trial."""

    ask: Ask
    worker: Worker
    trial: bool
    tokens: int
    reason: Reason
    streamed: bool
    began: float
    sent: float


@dataclass(frozen=True, slots=True)
class FastPath:
    """Takes plain requests; all else is `path`'s. `doors` hold the tasks of those that were handed over."""

    policy: Policy
    routes: Routes
    pool: Pool
    chooser: Chooser
    legs: WireLegs
    path: Path[Answering]
    doors: Doors
    told: Told
    deadlines: Deadlines
    under_way: dict[QuickLeg, _Flight] = field(default_factory=dict)

    def take(self, exchange: Exchange) -> bool:
        """Send a request on its way, and say so; False, and nothing done, where it is not plain."""
        known, ask, began = exchange.known, exchange.ask, monotonic()
        if exchange.refusal is not None or exchange.http_1_0 or ask.method != "POST" or len(ask.body) > MOST_BYTES:
            return False
        body = self._plain(ask)
        if body is None:
            return False
        prompt = estimate(body)
        reason = of_short(prompt.tokens, self.policy, self.pool.outlook, relayed=False)
        if reason is None or reason is Reason.NO_WORKER:
            return False
        try:
            worker = self.chooser.answering(prompt, self.policy.retry_after)
        except UnavailableError:
            return False
        streams = body.get("stream")
        leg = self.legs.quick(worker, exchange, self, monotonic, streams=bool(streams))
        if leg is None:
            return False
        line = self.told.line
        line(decided(prompt.tokens, self.policy.threshold, disaggregate=False), ask.request_id)
        line(decode_sent(worker.name, "-", ask.request_id), ask.request_id)
        exchange.explain(_SAID[reason])
        trial = self.pool.took_off(worker, 0)
        self.under_way[leg] = _Flight(ask, worker, trial, prompt.tokens, reason, streams is True, began, monotonic())
        told = known.told if known is not None and known.headers is ask.headers else joined(ask.headers)
        leg.send(self._message(ask, worker, leg.name, told))
        return True

    def _plain(self, ask: Ask) -> Body | None:
        """Return the body of a request that asks for an answer to a prompt, and steers nothing."""
        row = self.routes.find(ask.path)
        if row is None or row.kind is not Kind.PATH or self._path_of(ask) == RESPONSES:
            return None
        try:
            body = _decode(ask.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None  # refused in the path's words
        steers = KEY in body or EXTRA in body
        return body if not steers and ("messages" in body or "prompt" in body) else None

    def _message(self, ask: Ask, worker: Worker, name: str, told: bytes) -> bytes:
        return posted(self._path_of(ask) + ask.query, worker.name, name, told, ask.body)

    def _path_of(self, ask: Ask) -> str:
        return self.policy.invocation if ask.path == ALIAS else ask.path

    def ended(self, leg: QuickLeg, end: End) -> None:
        """Count and log a request that has ended, and let its connection go on."""
        flight, exchange = self.under_way.pop(leg), leg.exchange
        self.legs.ended(leg)
        ask, worker, now = flight.ask, flight.worker, monotonic()
        self.pool.landed(worker, 0, trial=flight.trial)
        if end is End.COMPLETE:
            self.pool.answered(worker, _OK, ask.body)
        first = leg.first_at
        self.told.report(
            Record(
                request_id=ask.request_id,
                method=ask.method,
                path=ask.path,
                caller=ask.caller,
                status=exchange.status,
                route=Route.DIRECT,
                reason=flight.reason,
                end=end,
                decoder=worker.name,
                duration=now - flight.began,
                ttft=None if first is None else first - flight.began,
                streamed=flight.streamed and first is not None,
                bytes_in=len(ask.body),
                bytes_out=exchange.bytes_out,
            )
        )
        if ask.caller:
            self.told.caller(ask.caller, exchange.status)
        exchange.over()

    def stranded(self, leg: QuickLeg) -> None:
        """Hand a request to the path."""
        task = asyncio.get_running_loop().create_task(self._hand_over(leg, self.under_way.pop(leg)))
        self.doors.tasks.add(task)
        task.add_done_callback(self.doors.tasks.discard)

    async def _hand_over(self, leg: QuickLeg, flight: _Flight) -> None:
        exchange, ask = leg.exchange, flight.ask
        try:
            trace = self._trace(leg, flight)
            await self.path.adopt(ask, exchange, trace, flight.worker, partial(self._going, leg))
        except Exception as error:  # noqa: BLE001 - the last line of defence: one request, not the router
            self.told.error(f"request {ask.request_id} failed in the router: {error!r}")
            exchange.refuse(RouterError("The router failed on this request.", code="internal_error"))
        finally:
            self.pool.landed(flight.worker, 0, trial=flight.trial)
            if ask.caller:
                self.told.caller(ask.caller, exchange.status)
            exchange.over()

    async def _going(self, leg: QuickLeg, first: Callable[[int], None]) -> Outcome:
        return await self.legs.adopt(leg, leg.exchange, first=first)

    def _trace(self, leg: QuickLeg, flight: _Flight) -> Trace:
        """Return what has happened to a request, as the path would have noted it."""
        ask, policy = flight.ask, self.policy
        trace = Trace(ask.request_id, monotonic, self.told.line)
        trace.recall(
            Step.ACCEPTED, flight.began, path=ask.path, method=ask.method, bytes=len(ask.body), caller=ask.caller
        )
        trace.recall(
            Step.DECIDED,
            flight.sent,
            tokens=flight.tokens,
            threshold=policy.threshold,
            disaggregate=False,
            reason=flight.reason,
        )
        trace.recall(Step.DECODE_SENT, flight.sent, worker=flight.worker.name, tag="-")
        if leg.first_at is not None:
            trace.recall(Step.FIRST_BYTE, leg.first_at, streamed=flight.streamed)
        return trace

    def expire(self, now: float) -> None:
        """Give up on engines that have been silent for too long; to be called now and then, with the loop's time."""
        for leg in [each for each in self.under_way if each.silent(now, self.deadlines)]:
            leg.give_up()
