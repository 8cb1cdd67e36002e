"""Third stage: disaggregated or direct, with the reason; the first row that applies decides."""

from typing import Final

from dpd_router.types import Decision, Outlook, Policy, Prompt, Reason, Request

_COLOCATED: Final = Reason.COLOCATED


def route(request: Request, prompt: Prompt, policy: Policy, outlook: Outlook) -> Decision:
    """Return where the request goes. A prompt of exactly the threshold is disaggregated; threshold 0 takes all."""
    reason = of_short(prompt.tokens, policy, outlook, relayed=request.relayed)
    if reason is not None:
        return Decision(disaggregate=False, reason=reason)
    return _of_long(request, prompt, policy, outlook)


def of_short(tokens: int, policy: Policy, outlook: Outlook, *, relayed: bool) -> Reason | None:
    """Return why a prompt goes to a decoder whatever else it is; None for one that may be disaggregated."""
    if outlook.decoders == 0:
        return Reason.NO_WORKER
    if relayed:
        return Reason.RELAYED
    if outlook.colocated:
        return _COLOCATED
    return Reason.SHORT if tokens < policy.threshold else None


def _of_long(request: Request, prompt: Prompt, policy: Policy, outlook: Outlook) -> Decision:
    """Go on with a prompt that reaches the threshold."""
    pages = pages_of(_most(request, prompt), policy.page_tokens)
    rows = (
        (prompt.tokens - outlook.held < policy.threshold, Reason.CACHED),
        (request.fan_out, Reason.FAN_OUT),
        (request.prompt_logprobs, Reason.PROMPT_LOGPROBS),
        (request.stateful, Reason.STATEFUL),
        (outlook.prefillers == 0, Reason.NO_PREFILLER),
        (outlook.capacity is not None and pages > outlook.capacity, Reason.NEVER_FITS),
        (policy.gates.idle_decoder and outlook.idle, Reason.DECODER_IDLE),
        (_queue_costs_more(prompt, policy, outlook), Reason.PREFILL_QUEUE),
    )
    for applies, reason in rows:
        if applies:
            return Decision(disaggregate=False, reason=reason)
    return Decision(disaggregate=True, reason=Reason.THRESHOLD, pages=pages)


def _queue_costs_more(prompt: Prompt, policy: Policy, outlook: Outlook) -> bool:
    """Compare tokens to be computed: the prompt's on the decoder, those ahead and the prompt's on the prefiller."""
    ratio = policy.gates.queue_ratio
    if ratio is None:
        return False
    return outlook.ahead + prompt.tokens - outlook.warm > ratio * (prompt.tokens - outlook.held)


def _most(request: Request, prompt: Prompt) -> int:
    """Return the most tokens a prompt can have: no token is less than a byte of the body, tools and all.

    An estimate may be low, by half for code and more for other scripts, and a buffer that overflows stops everybody.
    """
    if prompt.most is not None:
        return prompt.most
    return prompt.tokens if prompt.exact else len(request.raw)


def pages_of(tokens: int, page_tokens: int) -> int:
    """Return the pages a prompt takes: whole chunks and one for what is left, and for a chat template's own tokens."""
    return tokens // page_tokens + 1
