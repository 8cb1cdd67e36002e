"""The way of plain requests, from the client's connection to an engine's in one step, and what is told of them after.

Plain is what most requests are: a short prompt, or any where nothing is disaggregated. What is decided is what the path
decides, by the same stages, and told as the path tells it; what is left out is tasks, events and parsers. What is not
plain goes down the path from its beginning; what turns out not to be (an engine that cannot be reached, refuses, breaks
off or is silent) is handed to it with what has happened so far.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import msgspec

from dpd_router.api import Kind, Routes
from dpd_router.api.routes import ALIAS, RESPONSES
from dpd_router.ask import Ask
from dpd_router.bodies import EXTRA, KEY
from dpd_router.chooser import Chooser
from dpd_router.flight import Flight
from dpd_router.pool import Pool
from dpd_router.record import Record
from dpd_router.rescue import Rescue
from dpd_router.stages.estimate import estimate
from dpd_router.stages.observe import decided, decode_sent, said_of
from dpd_router.stages.route import of_short
from dpd_router.stages.stream import joined, posted
from dpd_router.told import Told
from dpd_router.types import Body, End, Policy, Reason, Route
from dpd_router.wire.deadlines import Deadlines
from dpd_router.wire.downstream import Serve
from dpd_router.wire.exchange import Exchange
from dpd_router.wire.leases import Leases
from dpd_router.wire.outbox import Outbox
from dpd_router.wire.quick import QuickLeg
from dpd_router.wire.upstream import Upstream

# So many requests under way make it likely that several are read in one turn; one alone would only wait for its end.
BUSY: Final = 8
MOST_BYTES: Final = 16 * 1024  # of a body that is parsed at once, in the turn that reads it
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_SAID: Final[dict[Reason, Callable[[], str]]] = {reason: said_of(Route.DIRECT, reason).__str__ for reason in Reason}
_OK: Final = 200
# Looked up once: in an enumeration that costs as much as five attributes.
_COMPLETE: Final = End.COMPLETE
_DIRECT: Final = Route.DIRECT
_NO_WORKER: Final = Reason.NO_WORKER


@dataclass(frozen=True, slots=True)
class FastPath:
    """Takes plain requests; all else is the path's. `rescue` has those that turn out not to be."""

    policy: Policy
    routes: Routes
    pool: Pool
    chooser: Chooser
    leases: Leases
    rescue: Rescue
    told: Told
    deadlines: Deadlines
    outbox: Outbox
    under_way: dict[QuickLeg, Flight] = field(default_factory=dict)

    def begin(self, otherwise: Serve, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Answer an exchange: here, or as `otherwise` does."""
        try:
            if self.take(exchange):
                return None
        except Exception as error:  # noqa: BLE001 - nothing was sent yet: the path may do better, or says so
            self.told.error(f"request {exchange.ask.request_id} failed in the router: {error!r}")
        return otherwise(exchange)

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
            tokens = prompt.tokens
            reason = of_short(tokens, self.policy, self.pool.outlook, relayed=False)
            if reason is None or reason is _NO_WORKER:
                return False
            worker = self.chooser.answering(prompt, self.policy.retry_after)
        except Exception:  # noqa: BLE001 - nothing has been done yet, and the path answers for what it meets
            return False
        line, streams = self.told.line, body.get("stream")
        line(decided(tokens, self.policy.threshold, disaggregate=False), ask.request_id)
        line(decode_sent(worker.name, "-", ask.request_id), ask.request_id)
        exchange.explain(_SAID[reason])
        trial = self.pool.took_off(worker, 0)
        flight = Flight(exchange, worker, tokens, reason, streams, began, monotonic(), trial=trial)
        upstream = self.leases.kept(worker)
        if upstream is None:
            self.rescue.open(flight, self._send, self._left)
            return True
        try:
            self._send(flight, upstream)
        except Exception:
            self.pool.landed(worker, 0, trial=trial)
            raise
        return True

    def _send(self, flight: Flight, upstream: Upstream) -> None:
        exchange, worker = flight.exchange, flight.worker
        ask, known = exchange.ask, exchange.incoming.known
        leg = self.leases.quick(upstream, exchange, self, monotonic, streams=bool(flight.stream))
        told = known.told if known is not None and known.headers is ask.headers else joined(ask.headers)
        message = posted(self._path_of(ask) + ask.query, worker.name, leg.name, told, ask.body)
        self.under_way[leg] = flight
        leg.send(message, self.outbox if len(self.under_way) >= BUSY else None)

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
        self.leases.ended(leg.name, leg.upstream)
        self._over(self.under_way.pop(leg), end, leg.first_at)

    def _left(self, flight: Flight) -> None:
        """Take a request that was not sent, for its client has gone."""
        self._over(flight, End.CLIENT_LEFT, None)

    def _over(self, flight: Flight, end: End, first: float | None) -> None:
        """Count and log a request that has ended, and let its connection go on."""
        exchange, worker, now = flight.exchange, flight.worker, monotonic()
        ask = exchange.ask
        self.pool.landed(worker, 0, trial=flight.trial)
        if end is _COMPLETE:
            self.pool.answered(worker, _OK, ask.body)
        record = Record(
            request_id=ask.request_id,
            method=ask.method,
            path=ask.path,
            caller=ask.caller,
            status=exchange.status,
            route=_DIRECT,
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
        """Leave a request to be rescued."""
        self.rescue.take_over(self.under_way.pop(leg), leg)

    def expire(self, now: float) -> None:
        """Give up on engines that have been silent for too long; to be called now and then, with the loop's time."""
        for leg in [each for each in self.under_way if each.silent(now, self.deadlines)]:
            leg.give_up()
