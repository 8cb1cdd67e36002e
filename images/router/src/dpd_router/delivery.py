"""Decode and stream: the decoder's answer to the client, or what is due to a decoder when the client has left.

A request whose client has been told nothing yet is not lost with its decoder: another one computes the whole prompt.
When the leg may have been received that happens once and no more, for what killed one decoder may kill the next.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dpd_router.drains import Drains
from dpd_router.errors import (
    ConnectFailedError,
    LegDiedError,
    RouterError,
    UnavailableError,
    UpstreamFailedError,
    UpstreamLateError,
)
from dpd_router.fallbacks import Fallbacks, Slot
from dpd_router.handoff import NO_HANDOFF, Handoff
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Client, Legs
from dpd_router.stages.decode import decode
from dpd_router.strategies import leastload
from dpd_router.trace import Trace
from dpd_router.types import End, Outcome, Policy, Reason, Request, Step

C = TypeVar("C", bound=Client)
OK, SERVER_ERROR = 200, 500
Going = Callable[[Callable[[int], None]], Awaitable[Outcome]]
"""What sees a leg through that was begun already: it takes what is to be told of the first byte, as `relay` does."""


class _DiedError(Exception):
    """The decoder took the leg and broke off, and the client knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Delivery(Generic[C]):
    """Runs the decode leg of every request."""

    policy: Policy
    pool: Pool
    legs: Legs[C]
    drains: Drains
    fallbacks: Fallbacks

    async def run(
        self, request: Request, handoff: Handoff, worker: Worker, client: C, trace: Trace, *, fallback: bool = False
    ) -> End:
        """Answer the client and return how that ended; `fallback`: the decoder computes what a prefiller should have.

        Raises UnavailableError when no worker could be reached, or none may take the prompt.
        """
        if client.gone:
            return await self._abandon(request, handoff, worker, trace)
        slot = await self._slot(worker) if fallback else Slot(None)
        try:
            return await self._relay(request, handoff, worker, client, trace, slot)
        except ConnectFailedError:
            slot.free()
            handoff.free()  # the decoder is gone, and its pages with it
            return await self._elsewhere(request, handoff, worker, client, trace, unreached=True)
        except _DiedError:
            slot.free()
            return await self._elsewhere(request, handoff, worker, client, trace, unreached=False)
        finally:
            slot.free()

    async def adopt(self, request: Request, worker: Worker, client: C, trace: Trace, going: Going) -> End:
        """See a leg through that is under way, of a prompt that nothing was transferred of."""
        try:
            return await self._relay(request, NO_HANDOFF, worker, client, trace, Slot(None), going)
        except ConnectFailedError:
            return await self._elsewhere(request, NO_HANDOFF, worker, client, trace, unreached=True)
        except _DiedError:
            return await self._elsewhere(request, NO_HANDOFF, worker, client, trace, unreached=False)

    async def _relay(
        self,
        request: Request,
        handoff: Handoff,
        worker: Worker,
        client: C,
        trace: Trace,
        slot: Slot,
        going: Going | None = None,
    ) -> End:
        """Run one decode leg. Raises ConnectFailedError, and _DiedError when another decoder may be given the leg."""
        read = False
        died: LegDiedError | None = None

        def first(status: int) -> None:
            """Note the first byte; with a good status the pages are read."""
            nonlocal read
            trace.add(Step.FIRST_BYTE, streamed=status == OK and request.body.get("stream") is True)
            slot.free()
            if status == OK:
                read = True
                handoff.free()

        try:
            if going is None:
                going = self._leg(request, handoff, worker, client, trace)
            outcome = await going(first)
        except LegDiedError as error:
            outcome, died = Outcome(End.UPSTREAM_DIED, 0), error
        except ConnectFailedError:
            self.pool.mark_down(worker)
            self.pool.failed(worker)
            raise
        self._judge(request, worker, outcome)
        self._free(request, handoff, worker, outcome, read=read)
        if died is not None:
            if not (died.told or died.late or client.gone):
                raise _DiedError
            client.refuse(_told(died))
        return outcome.end

    def _leg(self, request: Request, handoff: Handoff, worker: Worker, client: C, trace: Trace) -> Going:
        """Return what sends a decode leg and sees it through."""
        call = decode(trace.onward(request), handoff.params)
        trace.add(Step.DECODE_SENT, worker=worker.name, tag=handoff.tag)
        hold = handoff.params is not None
        return lambda first: self.legs.relay(worker, call, client, hold=hold, first=first)

    def _judge(self, request: Request, worker: Worker, outcome: Outcome) -> None:
        if outcome.end is End.UPSTREAM_DIED:
            self.pool.failed(worker, request.raw)
        elif outcome.end is End.COMPLETE and not outcome.limited:
            self.pool.answered(worker, outcome.status, request.raw)

    def _free(self, request: Request, handoff: Handoff, worker: Worker, outcome: Outcome, *, read: bool) -> None:
        """Give a transfer's pages back, or have another leg read them, where this one ended before it had."""
        if handoff.params is not None and not read and outcome.status != OK:
            sure = outcome.limited or 0 < outcome.status < SERVER_ERROR
            self.drains.later(request, handoff, worker, sure=sure)
        else:
            handoff.free()

    async def _elsewhere(
        self, request: Request, handoff: Handoff, lost: Worker, client: C, trace: Trace, *, unreached: bool
    ) -> End:
        """Let another worker fetch the KV, or compute the whole prompt.

        Where the first may have received the leg, its KV is not asked for twice, and one more worker is asked at most.
        """
        trace.add(Step.FELL_BACK, reason=Reason.DECODER_UNREACHABLE if unreached else Reason.DECODER_DIED)
        for other in leastload(self.pool.besides(lost)):
            given = handoff.for_another(other.address) if unreached else Handoff()
            computes = handoff.params is not None and given.params is None
            slot = await self._slot(other) if computes else Slot(None)
            try:
                with self.pool.flight(other):
                    return await self._relay(request, given, other, client, trace, slot)
            except ConnectFailedError:
                continue
            except _DiedError:
                break
            finally:
                slot.free()
        if not unreached:
            client.refuse(_told(LegDiedError("")))
            return End.UPSTREAM_DIED
        after = self.policy.retry_after
        raise UnavailableError("No worker could be reached; try again later.", code="no_worker", retry_after=after)

    async def _slot(self, worker: Worker) -> Slot:
        return await self.fallbacks.take(len(self.pool.ready(worker.address.role)))

    async def _abandon(self, request: Request, handoff: Handoff, worker: Worker, trace: Trace) -> End:
        """Have the decoder read a transfer whose client has left; without one there is nothing to do."""
        if handoff.params is None:
            return End.CLIENT_LEFT
        status = await self.drains.now(request, handoff, worker)
        trace.add(Step.DRAINED, worker=worker.name, status=status)
        return End.DRAINED


def _told(died: LegDiedError) -> RouterError:
    if died.late:
        return UpstreamLateError("The engine did not answer in time.")
    return UpstreamFailedError("The engine broke off before it answered; the request may be repeated.")
