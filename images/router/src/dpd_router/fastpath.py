"""The way of plain requests, from the client's connection to an engine's in one step, and what is told of them after.

Plain is what most requests are: a short prompt, or any where nothing is disaggregated. What is decided is what the path
decides, by the same stages, and told as the path tells it; what is left out is tasks, events and parsers. What is not
plain goes down the path from its beginning; what turns out not to be (an engine that cannot be reached, refuses, breaks
off or is silent) is handed to it with what has happened so far.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

import msgspec

from dpd_router.api import Kind, Routes
from dpd_router.api.routes import ALIAS, RESPONSES
from dpd_router.bodies import EXTRA, KEY
from dpd_router.chooser import Chooser
from dpd_router.delivery import Going
from dpd_router.errors import RouterError
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
from dpd_router.wire.upstream import Upstream

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


class _Flight(msgspec.Struct, frozen=True):
    """One request on the fast path. Times are those of the path's clock; `trial`: its worker is on trial; `stream` is
    what the body says under that name."""

    exchange: Exchange
    worker: Worker
    trial: bool
    tokens: int
    reason: Reason
    stream: Any
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
        incoming, ask, began = exchange.incoming, exchange.ask, monotonic()
        if incoming.refusal is not None or incoming.http_1_0 or len(ask.body) > MOST_BYTES or ask.method != "POST":
            return False
        try:
            body = self._plain(ask)
            if body is None:
                return False
            prompt = estimate(body)
            reason = of_short(prompt.tokens, self.policy, self.pool.outlook, relayed=False)
            if reason is None or reason is Reason.NO_WORKER:
                return False
            worker = self.chooser.answering(prompt, self.policy.retry_after)
        except Exception:  # noqa: BLE001 - nothing has been done yet, and the path answers for what it meets
            return False
        line, streams = self.told.line, body.get("stream")
        line(decided(prompt.tokens, self.policy.threshold, disaggregate=False), ask.request_id)
        line(decode_sent(worker.name, "-", ask.request_id), ask.request_id)
        exchange.explain(_SAID[reason])
        trial = self.pool.took_off(worker, 0)
        flight = _Flight(exchange, worker, trial, prompt.tokens, reason, streams, began, monotonic())
        upstream = self.legs.kept(worker)
        if upstream is None:
            self._task(self._open(flight))
            return True
        try:
            self._send(flight, upstream)
        except Exception:
            self.pool.landed(worker, 0, trial=trial)
            raise
        return True

    def _send(self, flight: _Flight, upstream: Upstream) -> None:
        exchange, worker = flight.exchange, flight.worker
        ask, known = exchange.ask, exchange.incoming.known
        leg = self.legs.quick(upstream, exchange, self, monotonic, streams=bool(flight.stream))
        told = known.told if known is not None and known.headers is ask.headers else joined(ask.headers)
        message = posted(self._path_of(ask) + ask.query, worker.name, leg.name, told, ask.body)
        self.under_way[leg] = flight
        leg.send(message)

    async def _open(self, flight: _Flight) -> None:
        """Send a request on a new connection."""
        try:
            upstream = await self.legs.opened(flight.worker)
            if not flight.exchange.gone:
                self._send(flight, upstream)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, the path answers for it
            await self._hand_over(flight, None, partial(_unreached, error))
            return
        self.legs.spare(upstream)
        self._over(flight, End.CLIENT_LEFT, None)

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

    def _path_of(self, ask: Ask) -> str:
        return self.policy.invocation if ask.path == ALIAS else ask.path

    def ended(self, leg: QuickLeg, end: End) -> None:
        """Take a leg that has ended."""
        self.legs.ended(leg)
        self._over(self.under_way.pop(leg), end, leg.first_at)

    def _over(self, flight: _Flight, end: End, first: float | None) -> None:
        """Count and log a request that has ended, and let its connection go on."""
        exchange, worker, now = flight.exchange, flight.worker, monotonic()
        ask = exchange.ask
        self.pool.landed(worker, 0, trial=flight.trial)
        if end is End.COMPLETE:
            self.pool.answered(worker, _OK, ask.body)
        record = Record(
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
            streamed=flight.stream is True and first is not None,
            bytes_in=len(ask.body),
            bytes_out=exchange.bytes_out,
        )
        try:
            self.told.report(record)
            if ask.caller:
                self.told.caller(ask.caller, exchange.status)
        except Exception as error:  # noqa: BLE001 - as in `_hand_over`
            self.told.error(f"request {ask.request_id} failed in the router: {error!r}")
        exchange.over()

    def stranded(self, leg: QuickLeg) -> None:
        """Hand a request to the path."""
        self._task(self._hand_over(self.under_way.pop(leg), leg.first_at, partial(self._going, leg)))

    def _task(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self.doors.tasks.add(task)
        task.add_done_callback(self.doors.tasks.discard)

    async def _hand_over(self, flight: _Flight, first: float | None, going: Going) -> None:
        exchange = flight.exchange
        ask = exchange.ask
        try:
            await self.path.adopt(ask, exchange, self._trace(flight, first), flight.worker, going)
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

    def _trace(self, flight: _Flight, first: float | None) -> Trace:
        """Return what has happened to a request, as the path would have noted it."""
        ask, sent = flight.exchange.ask, flight.sent
        trace = Trace(ask.request_id, monotonic, self.told.line)
        size, threshold = len(ask.body), self.policy.threshold
        trace.recall(Step.ACCEPTED, flight.began, path=ask.path, method=ask.method, bytes=size, caller=ask.caller)
        decided = {"tokens": flight.tokens, "threshold": threshold, "disaggregate": False, "reason": flight.reason}
        trace.recall(Step.DECIDED, sent, **decided)
        trace.recall(Step.DECODE_SENT, sent, worker=flight.worker.name, tag="-")
        if first is not None:
            trace.recall(Step.FIRST_BYTE, first, streamed=flight.stream is True)
        return trace

    def expire(self, now: float) -> None:
        """Give up on engines that have been silent for too long; to be called now and then, with the loop's time."""
        for leg in [each for each in self.under_way if each.silent(now, self.deadlines)]:
            leg.give_up()


async def _unreached(error: Exception, _first: Callable[[int], None]) -> Outcome:
    raise error
