"""Prefill and transfer: get a prompt's KV to a decoder, by one prefiller or another, or not at all.

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
from dpd_router.handoff import Handoff
from dpd_router.ledger import Room
from dpd_router.pool import Fits, Pool, Worker
from dpd_router.proxied import limited
from dpd_router.seams import Client, Collects, Notices
from dpd_router.stages.prefill import prefill
from dpd_router.stages.transfer import prompt_tokens, transfer
from dpd_router.tags import Share
from dpd_router.trace import Trace
from dpd_router.types import Decision, Policy, Prompt, Reason, Reply, Request, Step, Verdict

LOOK_SECONDS = 1.0  # how often who waits for a prefill looks whether its prefiller still answers


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One prefiller's turn, with its own transfer id and tag: no page is ever taken for another's.

    `decoder` and `room`, its pages, are None when the decoder is chosen later.
    """

    request: Request
    prefiller: Worker
    decoder: Worker | None
    transfer_id: str
    tag: str
    room: Room | None
    tokens: int
    share: Share | None

    def free(self) -> None:
        """Give the decoder's pages back."""
        if self.room is not None:
            self.room.free()
        if self.share is not None:
            self.share.leave()


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

    @property
    def waits(self) -> bool:
        """Say whether the decoder is better chosen when the prefill is over: where its KV can go to any."""
        return not self.connector.pushes

    async def run(
        self, request: Request, prompt: Prompt, decision: Decision, decoder: Worker | None, client: Client, trace: Trace
    ) -> Handoff:
        """Return what the decoder needs of a prompt to be disaggregated; `decoder` is None where it is chosen later.

        What a prefiller does wrong is never an error here, only no KV.
        """
        handoff = Handoff(failed=Reason.NO_PREFILLER)
        ranked = self.chooser.prefillers(prompt, self.policy.prefill_attempts, self._able(decoder))
        for number, prefiller in enumerate(ranked, 1):
            room = None
            if decoder is not None:
                if not await decoder.ledger.reserve(decision.pages, self.policy.room_seconds):
                    handoff = Handoff(failed=Reason.BUFFER_FULL)
                    break
                room = decoder.ledger.room(decision.pages)
            tag = self.pool.tag(prefiller)
            share = decoder.ledger.tags.enter(tag) if decoder is not None else None
            asked = trace.onward(request)
            attempt = _Attempt(asked, prefiller, decoder, self.new_id(), tag, room, prompt.tokens, share)
            if client.gone:
                attempt.free()
                return Handoff()
            handoff = await self._try(attempt, number, trace)
            if handoff.failed is None:
                return handoff
            if handoff.failed is Reason.PREFILL_REFUSED:
                break
        trace.add(Step.FELL_BACK, reason=handoff.failed)
        return handoff

    def _able(self, decoder: Worker | None) -> Fits:
        """Return which prefillers a transfer may be asked of: one that is late is given no more until it has ended.

        Whether it is overrun or hangs, who came next would wait as long for nothing, with pages reserved all the while.
        """
        reads = self.pool.read_by(decoder)
        return lambda worker: not worker.late and reads(worker)

    async def _try(self, attempt: _Attempt, number: int, trace: Trace) -> Handoff:
        try:
            return await self._attempt(attempt, number, trace)
        except Exception:
            attempt.free()  # a mistake of ours must not cost the decoder's room as well
            raise

    async def _attempt(self, attempt: _Attempt, number: int, trace: Trace) -> Handoff:
        began = trace.add(
            Step.PREFILL_SENT,
            worker=attempt.prefiller.name,
            strategy=self.chooser.name,
            receiver=attempt.decoder.name if attempt.decoder else "-",
            attempt=number,
        )
        self.notices.expect(attempt.transfer_id)
        leg = self.background.start(self._send(attempt))
        if not await self._over(leg, attempt.prefiller):
            attempt.prefiller.late += 1
            self.background.start(self._settle(attempt, leg))
            return Handoff(failed=Reason.PREFILL_LATE)
        sent = leg.result()
        seconds = trace.now() - began
        status = sent.reply.status if sent.reply else "none"
        trace.add(Step.PREFILL_ENDED, worker=attempt.prefiller.name, status=status, seconds=seconds)
        return await self._judge(attempt, sent, trace)

    async def _over(self, leg: "asyncio.Task[_Sent]", prefiller: Worker) -> bool:
        """Wait for a prefill, as long as it may take and its prefiller answers; say whether it has ended."""
        clock = asyncio.get_running_loop().time
        end = clock() + self.policy.prefill_seconds
        while not leg.done() and clock() < end and not self.pool.unwell(prefiller):
            await asyncio.wait({leg}, timeout=min(LOOK_SECONDS, end - clock()))
        return leg.done()

    async def _judge(self, attempt: _Attempt, sent: _Sent, trace: Trace) -> Handoff:
        verdict = Verdict.RETRY if sent.reply is None else transfer(sent.reply)
        if verdict is Verdict.READY:
            return await self._ready(attempt, sent, trace)
        self.notices.forget(attempt.transfer_id)
        if verdict is Verdict.RETRY and sent.begun:
            self._drain(attempt, None)
        else:
            attempt.free()
        if verdict is Verdict.REFUSED:
            # Its words are about our leg of one token; the decoder refuses the client's own request in the right ones.
            return Handoff(failed=Reason.PREFILL_REFUSED)
        return Handoff(failed=Reason.PREFILL_FAILED)

    async def _ready(self, attempt: _Attempt, sent: _Sent, trace: Trace) -> Handoff:
        waiting = self._waiting(attempt, sent.reply)
        if waiting is None:
            self.notices.forget(attempt.transfer_id)
            attempt.free()
            return Handoff(failed=Reason.PREFILL_EMPTY)
        trace.add(Step.TRANSFERRED, confirmed=await self._confirmed(attempt))
        tokens = prompt_tokens(sent.reply) if sent.reply else None
        if tokens is not None and attempt.room is not None:
            attempt.room.keep(-(-tokens // self.policy.page_tokens))
        return waiting

    async def _confirmed(self, attempt: _Attempt) -> bool | None:
        """Say whether the prefiller's notices came, None when nobody listens for any.

        The reply follows the writes, so a notice that is late is counted and not waited for without end; and not at all
        when this prefiller's last one did not come: its notices may go to another router.
        """
        decoder, prefiller = attempt.decoder, attempt.prefiller
        if decoder is None or not self.policy.confirm:
            self.notices.forget(attempt.transfer_id)
            return None
        patience = 0.0 if prefiller.silent else self.policy.ready_seconds
        confirmed = await self.notices.arrived(attempt.transfer_id, len(decoder.receiver.init_ports), patience)
        self.notices.forget(attempt.transfer_id)
        prefiller.silent = not confirmed
        return confirmed

    def _waiting(self, attempt: _Attempt, reply: Reply | None) -> Handoff | None:
        """Return what waits for a decoder after a prefill; None when nothing does."""
        params = self.connector.decode_params(attempt.tag, reply)
        if params is None:
            return None
        origin = attempt.prefiller.address if attempt.decoder is None else None
        return Handoff(params, attempt.tag, free=attempt.free, origin=origin, share=attempt.share)

    def _drain(self, attempt: _Attempt, reply: Reply | None) -> None:
        """Have read in the background what a prefill left, or may have left, for nobody."""
        waiting = self._waiting(attempt, reply)
        decoder = attempt.decoder or next(iter(self.pool.readers(attempt.prefiller.address)), None)
        if waiting is None or decoder is None:
            attempt.free()
        else:
            written = reply is not None and transfer(reply) is Verdict.READY
            self.drains.later(attempt.request, waiting, decoder, sure=written)

    async def _send(self, attempt: _Attempt) -> _Sent:
        receiver = attempt.decoder.receiver if attempt.decoder else None
        params = self.connector.prefill_params(attempt.transfer_id, attempt.tag, receiver)
        call = prefill(attempt.request, params)
        with self.pool.flight(attempt.prefiller, attempt.tokens) as worker:
            try:
                reply = await self.legs.collect(worker, call, attempt.request.request_id)
                if not limited(reply.headers):
                    self.pool.answered(worker, reply.status, attempt.request.raw)
                return _Sent(reply, begun=True)
            except ConnectFailedError:
                self.pool.mark_down(worker)
                self.pool.failed(worker)
                return _Sent(None, begun=False)
            except LegDiedError:
                self.pool.distrust(worker)
                self.pool.failed(worker, attempt.request.raw)
                return _Sent(None, begun=True)

    async def _settle(self, attempt: _Attempt, leg: "asyncio.Task[_Sent]") -> None:
        """See a prefill through for which nobody waits any more."""
        try:
            sent = await leg
        finally:
            attempt.prefiller.late -= 1
            self.notices.forget(attempt.transfer_id)
        if sent.begun:
            self._drain(attempt, sent.reply)
        else:
            attempt.free()
