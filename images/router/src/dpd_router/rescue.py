"""What becomes of requests that met something on the fast path: the path sees them through, with what has happened."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from dpd_router.delivery import Going
from dpd_router.errors import RouterError
from dpd_router.flight import Flight
from dpd_router.path import Path
from dpd_router.pool import Pool
from dpd_router.told import Told
from dpd_router.trace import Trace
from dpd_router.types import Outcome, Policy, Step
from dpd_router.wire.downstream import Doors
from dpd_router.wire.exchange import Answering
from dpd_router.wire.legs import WireLegs
from dpd_router.wire.quick import QuickLeg
from dpd_router.wire.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Rescue:
    """Opens connections, and hands to `path` what cannot be sent or answered. `doors` hold the tasks that this takes.

    It is a module of its own because it waits: no coroutine is compiled (docs/architecture.md, decision 42).
    """

    policy: Policy
    pool: Pool
    legs: WireLegs
    path: Path[Answering]
    doors: Doors
    told: Told

    def open(self, flight: Flight, send: Callable[[Flight, Upstream], None], left: Callable[[Flight], None]) -> None:
        """Have a request sent on a new connection; `left` is told of one whose client has gone before that."""
        self._task(self._open(flight, send, left))

    def take_over(self, flight: Flight, leg: QuickLeg) -> None:
        """See a request through whose leg is stranded."""
        self._task(self._hand_over(flight, leg.first_at, partial(self._going, leg)))

    async def _open(
        self, flight: Flight, send: Callable[[Flight, Upstream], None], left: Callable[[Flight], None]
    ) -> None:
        try:
            upstream = await self.legs.opened(flight.worker)
            if not flight.exchange.gone:
                send(flight, upstream)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, the path answers for it
            await self._hand_over(flight, None, partial(unreached, error))
            return
        self.legs.leases.spare(upstream)
        left(flight)

    def _task(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self.doors.tasks.add(task)
        task.add_done_callback(self.doors.tasks.discard)

    async def _hand_over(self, flight: Flight, first: float | None, going: Going) -> None:
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

    def _trace(self, flight: Flight, first: float | None) -> Trace:
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


async def unreached(error: Exception, _first: Callable[[int], None]) -> Outcome:
    """Raise what kept a request from being sent."""
    raise error
