"""Prefill and transfer: get a prompt's KV into the decoder's buffer, by one prefiller or another, or not at all.

A prefill that has begun is never broken off, whoever leaves: pages that were written and are never read stay in the
decoder's buffer until it restarts. What nobody waits for any more is finished and drained in the background.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.background import Background
from dpd_router.chooser import Chooser
from dpd_router.connectors import Connector
from dpd_router.drains import Drains
from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.ledger import Room
from dpd_router.pool import Pool, Worker
from dpd_router.seams import Client, Collects, Notices
from dpd_router.stages.prefill import prefill
from dpd_router.stages.transfer import prompt_tokens, transfer
from dpd_router.trace import Trace
from dpd_router.types import Decision, Params, Policy, Prompt, Reason, Reply, Request, Step, Verdict


def nothing() -> None:
    """Free no pages: none were taken."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """What prefill left for decode: `params` when KV waits, none when the decoder computes the prompt itself.

    `free` gives the decoder's pages back; it may be called more than once. `failed` says why there is no KV.
    """

    params: Params | None = None
    tag: str = "-"
    failed: Reason | None = None
    free: Callable[[], None] = nothing


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One prefiller's turn, with its own transfer id and tag: no page is ever taken for another's."""

    request: Request
    prefiller: Worker
    decoder: Worker
    transfer_id: str
    tag: str
    room: Room


@dataclass(frozen=True, slots=True)
class _Sent:
    """What became of a prefill leg; `begun` is whether the prefiller may have started on it."""

    reply: Reply | None
    begun: bool


@dataclass(frozen=True, slots=True)
class Handover:
    """Runs the prefill leg of disaggregated requests. `new_id` gives an id never given before."""

    policy: Policy
    pool: Pool
    connector: Connector
    chooser: Chooser
    legs: Collects
    notices: Notices
    background: Background
    drains: Drains
    new_id: Callable[[], str]

    async def run(
        self, request: Request, prompt: Prompt, decision: Decision, decoder: Worker, client: Client, trace: Trace
    ) -> Handoff:
        """Return what the decoder needs. What a prefiller does wrong is never an error here, only no KV."""
        if not decision.disaggregate:
            return Handoff()
        handoff = Handoff(failed=Reason.NO_PREFILLER)
        ranked = self.chooser.prefillers(prompt, decoder, self.policy.prefill_attempts)
        for number, prefiller in enumerate(ranked, 1):
            if not await decoder.ledger.reserve(decision.pages, self.policy.room_seconds):
                handoff = Handoff(failed=Reason.BUFFER_FULL)
                break
            room = decoder.ledger.room(decision.pages)
            if client.gone:
                room.free()
                return Handoff()
            attempt = _Attempt(request, prefiller, decoder, self.new_id(), self.pool.tag(prefiller), room)
            try:
                handoff = await self._try(attempt, number, trace)
            except Exception:
                room.free()  # a mistake of ours must not cost the decoder's room as well
                raise
            if handoff.failed is None:
                return handoff
            if handoff.failed is Reason.PREFILL_REFUSED:
                break
        trace.add(Step.FELL_BACK, reason=handoff.failed)
        return handoff

    async def _try(self, attempt: _Attempt, number: int, trace: Trace) -> Handoff:
        began = trace.add(
            Step.PREFILL_SENT,
            worker=attempt.prefiller.name,
            strategy=self.chooser.name,
            receiver=attempt.decoder.name,
            attempt=number,
        )
        self.notices.expect(attempt.transfer_id)
        leg = self.background.start(self._send(attempt))
        await asyncio.wait({leg}, timeout=self.policy.prefill_seconds)
        if not leg.done():
            self.background.start(self._settle(attempt, leg))
            return Handoff(failed=Reason.PREFILL_LATE)
        sent = leg.result()
        seconds = trace.now() - began
        status = sent.reply.status if sent.reply else "none"
        trace.add(Step.PREFILL_ENDED, worker=attempt.prefiller.name, status=status, seconds=seconds)
        return await self._judge(attempt, sent, trace)

    async def _judge(self, attempt: _Attempt, sent: _Sent, trace: Trace) -> Handoff:
        verdict = Verdict.RETRY if sent.reply is None else transfer(sent.reply)
        if verdict is Verdict.READY:
            # The reply follows the writes, so a notice that is late is counted and not waited for without end.
            ranks = len(attempt.decoder.receiver.init_ports)
            confirmed = await self.notices.arrived(attempt.transfer_id, ranks, self.policy.ready_seconds)
            self.notices.forget(attempt.transfer_id)
            trace.add(Step.TRANSFERRED, confirmed=confirmed)
            tokens = prompt_tokens(sent.reply) if sent.reply else None
            if tokens is not None:
                attempt.room.keep(-(-tokens // self.policy.page_tokens))
            return Handoff(self._found_by(attempt), attempt.tag, free=attempt.room.free)
        self.notices.forget(attempt.transfer_id)
        if verdict is Verdict.RETRY and sent.begun:
            self.drains.later(attempt.request, self._found_by(attempt), attempt.decoder, attempt.room.free)
        else:
            attempt.room.free()
        if verdict is Verdict.REFUSED:
            # Its words are about our leg of one token; the decoder refuses the client's own request in the right ones.
            return Handoff(failed=Reason.PREFILL_REFUSED)
        return Handoff(failed=Reason.PREFILL_FAILED)

    def _found_by(self, attempt: _Attempt) -> Params:
        """Return the parameters under which the decoder finds the attempt's pages."""
        return self.connector.decode_params(attempt.tag)

    async def _send(self, attempt: _Attempt) -> _Sent:
        params = self.connector.prefill_params(attempt.transfer_id, attempt.tag, attempt.decoder.receiver)
        call = prefill(attempt.request, params)
        with self.pool.flight(attempt.prefiller) as worker:
            try:
                return _Sent(await self.legs.collect(worker, call, attempt.request.request_id), begun=True)
            except ConnectFailedError:
                self.pool.mark_down(worker)
                return _Sent(None, begun=False)
            except LegDiedError:
                self.pool.distrust(worker)
                return _Sent(None, begun=True)

    async def _settle(self, attempt: _Attempt, leg: "asyncio.Task[_Sent]") -> None:
        """See a prefill through for which nobody waits any more."""
        sent = await leg
        self.notices.forget(attempt.transfer_id)
        if sent.begun:
            await self.drains.now(attempt.request, self._found_by(attempt), attempt.decoder, attempt.room.free)
        else:
            attempt.room.free()
