"""Decode and stream: the decoder's answer to the client, or what is due to a decoder when the client has left."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from dpd_router.drains import Drains
from dpd_router.errors import ConnectFailedError, LegDiedError, UnavailableError, UpstreamFailedError
from dpd_router.handoff import Handoff
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Client, Legs
from dpd_router.stages.decode import decode
from dpd_router.strategies import leastload
from dpd_router.trace import Trace
from dpd_router.types import End, Outcome, Policy, Reason, Request, Step

C = TypeVar("C", bound=Client)
OK = 200


@dataclass(frozen=True, slots=True)
class Delivery(Generic[C]):
    """Runs the decode leg of every request."""

    policy: Policy
    pool: Pool
    legs: Legs[C]
    drains: Drains

    async def run(self, request: Request, handoff: Handoff, worker: Worker, client: C, trace: Trace) -> End:
        """Answer the client and return how that ended; raises UnavailableError when no worker could be reached."""
        if client.gone:
            return await self._abandon(request, handoff, worker, trace)
        try:
            return await self._relay(request, handoff, worker, client, trace)
        except ConnectFailedError:
            handoff.free()  # the decoder is gone, and its pages with it
            return await self._elsewhere(request, handoff, worker, client, trace)

    async def _relay(self, request: Request, handoff: Handoff, worker: Worker, client: C, trace: Trace) -> End:
        read = False

        def first(status: int) -> None:
            """Note the first byte; with a good status the pages are read."""
            nonlocal read
            trace.add(Step.FIRST_BYTE)
            if status == OK:
                read = True
                handoff.free()

        trace.add(Step.DECODE_SENT, worker=worker.name, tag=handoff.tag)
        call = decode(request, handoff.params)
        try:
            outcome = await self.legs.relay(worker, call, client, hold=handoff.params is not None, first=first)
        except LegDiedError:
            client.refuse(UpstreamFailedError("The engine broke off before it answered; the request may be repeated."))
            outcome = Outcome(End.UPSTREAM_DIED, 0)
        except ConnectFailedError:
            self.pool.mark_down(worker)
            raise
        if handoff.params is not None and not read and outcome.status != OK:
            # Refused or cut off before the pages were read: another leg has to read them.
            self.drains.later(request, handoff, worker)
        else:
            handoff.free()
        return outcome.end

    async def _elsewhere(self, request: Request, handoff: Handoff, unreachable: Worker, client: C, trace: Trace) -> End:
        """Let another worker fetch the KV, or compute the whole prompt; nothing has left the router so far."""
        trace.add(Step.FELL_BACK, reason=Reason.DECODER_UNREACHABLE)
        for other in leastload(self.pool.ready(unreachable.address.role)):
            try:
                with self.pool.flight(other):
                    return await self._relay(request, handoff.for_another(other.address), other, client, trace)
            except ConnectFailedError:
                continue
        after = self.policy.retry_after
        raise UnavailableError("No worker could be reached; try again later.", code="no_worker", retry_after=after)

    async def _abandon(self, request: Request, handoff: Handoff, worker: Worker, trace: Trace) -> End:
        """Have the decoder read a transfer whose client has left; without one there is nothing to do."""
        if handoff.params is None:
            return End.CLIENT_LEFT
        status = await self.drains.now(request, handoff, worker)
        trace.add(Step.DRAINED, worker=worker.name, status=status)
        return End.DRAINED
