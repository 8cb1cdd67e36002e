"""The path of a request: the stages, one after the other, and what they act on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from dpd_router.ask import Ask
from dpd_router.chooser import Chooser
from dpd_router.delivery import Delivery, Going
from dpd_router.errors import RouterError
from dpd_router.handoff import NO_HANDOFF, Handoff
from dpd_router.handover import Handover
from dpd_router.pool import Pool, Worker
from dpd_router.record import Record
from dpd_router.seams import Client, Counts
from dpd_router.stages.accept import accept
from dpd_router.stages.estimate import estimate
from dpd_router.stages.observe import observe, verdict
from dpd_router.stages.route import route
from dpd_router.stages.session import session
from dpd_router.trace import Trace
from dpd_router.tracing.tracer import Off, Tracer
from dpd_router.types import Decision, End, Policy, Prompt, Reason, Request, Step

C = TypeVar("C", bound=Client)


@dataclass(frozen=True, slots=True)
class Path(Generic[C]):
    """accept, estimate, route, prefill, transfer, decode, stream, observe."""

    policy: Policy
    pool: Pool
    counts: Counts
    doubts: Counts
    chooser: Chooser
    handover: Handover
    delivery: Delivery[C]
    clock: Callable[[], float]
    tell: Callable[[str, str], None]
    report: Callable[[Record], None]
    tracer: Tracer = field(default_factory=Off)

    async def serve(self, ask: Ask, client: C) -> Trace:
        """Answer one request, whatever happens; it ends with one ENDED event, which is returned in the trace."""
        place = self.tracer.begin(ask.headers)
        if place is not None:
            ask = ask.under(place.arrived())
        trace = Trace(ask.request_id, self.clock, self.tell, place)
        trace.add(Step.ACCEPTED, path=ask.path, method=ask.method, bytes=len(ask.body), caller=ask.caller)
        await self._conclude(self._run(ask, client, trace), client, trace)
        return trace

    async def adopt(self, ask: Ask, client: C, trace: Trace, worker: Worker, going: Going) -> None:
        """See a request through that was sent straight to a worker and met something on its way; to its ENDED event.

        `trace` has what happened so far.
        """
        request = accept(ask, self.policy.invocation)
        await self._conclude(self.delivery.adopt(request, worker, client, trace, going), client, trace)

    async def _conclude(self, running: Awaitable[End], client: C, trace: Trace) -> None:
        client.explain(lambda: verdict(trace.events, debug=self.policy.explain))
        code = ""
        try:
            end = await running
        except RouterError as error:
            client.refuse(error)
            code = error.code
            end = End.UNAVAILABLE if error.status >= 500 else End.REFUSED
        trace.add(Step.ENDED, status=client.status, end=end, bytes=client.bytes_out, code=code)
        self.report(observe(trace.events))
        if trace.place is not None:
            self.tracer.end(trace.place, trace.events)

    async def _run(self, ask: Ask, client: C, trace: Trace) -> End:
        request = accept(ask, self.policy.invocation)
        prompt = estimate(request.body)
        if self.counts.worth(request):
            prompt = await self.counts.count(request, prompt)
        if self.policy.session is not None:
            prompt = msgspec.structs.replace(prompt, session=session(request, self.policy.session))
        decision = route(request, prompt, self.policy, self.chooser.outlook(prompt))
        if decision.reason is Reason.NEVER_FITS and not prompt.exact:
            prompt = await self._doubted(request, prompt)
            decision = route(request, prompt, self.policy, self.chooser.outlook(prompt))
        self._note(trace, prompt, decision)
        handoff = None if decision.disaggregate else NO_HANDOFF
        if handoff is None and self.handover.waits:
            handoff = await self.handover.run(request, prompt, decision, None, client, trace)
        with self.pool.flight(self._answering(prompt, decision, handoff)) as worker:
            if handoff is None:
                handoff = await self.handover.run(request, prompt, decision, worker, client, trace)
            elif handoff.params is not None and handoff.for_another(worker.address).params is None:
                trace.add(Step.FELL_BACK, reason=Reason.DECODER_UNREACHABLE)  # who could have had the KV is gone
                handoff = Handoff()
            fallback = decision.reason is Reason.NO_PREFILLER or handoff.failed not in (None, Reason.PREFILL_REFUSED)
            return await self.delivery.run(request, handoff, worker, client, trace, fallback=fallback)

    async def _doubted(self, request: Request, prompt: Prompt) -> Prompt:
        """Count what was taken to have a token for every byte, lest it goes direct for that: prose has four a token.

        The threshold still sees the estimate, as for every other prompt.
        """
        counted = await self.doubts.count(request, prompt)
        return msgspec.structs.replace(prompt, most=counted.tokens) if counted.exact else prompt

    def _note(self, trace: Trace, prompt: Prompt, decision: Decision) -> None:
        trace.add(
            Step.DECIDED,
            tokens=prompt.tokens,
            threshold=self.policy.threshold,
            disaggregate=decision.disaggregate,
            reason=decision.reason,
        )

    def _answering(self, prompt: Prompt, decision: Decision, handoff: Handoff | None) -> Worker:
        """Return the worker that answers; of decoders one that can have the KV, as long as there is such a one."""
        if not decision.disaggregate:
            return self.chooser.answering(prompt, self.policy.retry_after)
        fits = self.pool.reads(handoff.origin if handoff else None, paired=True)
        return self.chooser.answering(prompt, self.policy.retry_after, fits)
