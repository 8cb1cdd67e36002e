import pytest

from dpd_router.stages.route import pages_of, route
from dpd_router.types import Decision, Gates, Outlook, Policy, Prompt, Reason, Request


def request(**changes) -> Request:
    base = {"target": "/", "headers": [], "body": {}, "raw": b"", "fan_out": False, "prompt_logprobs": False}
    return Request(**{**base, "request_id": "r", **changes})


def decide(tokens, threshold=4096, req=None, exact=True, gates=None, **outlook):
    view = Outlook(**{"colocated": False, "prefillers": 1, "decoders": 1, **outlook})
    policy = Policy(threshold, "/v1/chat/completions", gates=gates or Gates())
    return route(req or request(), Prompt(tokens, "", exact), policy, view)


IDLE, QUEUE = Gates(idle_decoder=True), Gates(queue_ratio=3)


@pytest.mark.parametrize(
    ("decision", "disaggregate", "reason"),
    [
        (decide(4096), True, Reason.THRESHOLD),
        (decide(4095), False, Reason.SHORT),
        (decide(6750), True, Reason.THRESHOLD),
        (decide(0, threshold=0), True, Reason.THRESHOLD),
        (decide(9999, req=request(fan_out=True)), False, Reason.FAN_OUT),
        (decide(9999, req=request(prompt_logprobs=True)), False, Reason.PROMPT_LOGPROBS),
        (decide(9999, req=request(stateful=True)), False, Reason.STATEFUL),
        (decide(9999, threshold=0, req=request(relayed=True)), False, Reason.RELAYED),
        (decide(0, req=request(relayed=True), colocated=True), False, Reason.RELAYED),
        (decide(9999, prefillers=0), False, Reason.NO_PREFILLER),
        (decide(9999, decoders=0), False, Reason.NO_WORKER),
        (decide(9999, colocated=True), False, Reason.COLOCATED),
        (decide(10, prefillers=0), False, Reason.SHORT),
        (decide(9999, capacity=39), False, Reason.NEVER_FITS),
        (decide(9999, capacity=40), True, Reason.THRESHOLD),
    ],
)
def test_the_first_row_that_applies_decides(decision, disaggregate, reason):
    assert (decision.disaggregate, decision.reason) == (disaggregate, reason)


@pytest.mark.parametrize(("tokens", "pages"), [(0, 1), (255, 1), (256, 2), (6035, 24), (6750, 27)])
def test_a_transfer_takes_whole_pages_and_one_for_the_rest(tokens, pages):
    assert pages_of(tokens, 256) == pages


def test_counted_tokens_take_the_pages_they_fill():
    assert decide(6750).pages == 27


def test_an_estimate_may_be_low_so_that_every_byte_of_the_body_may_be_a_token():
    body = request(raw=b"x" * 27000)
    assert decide(6750, req=body, exact=False).pages == 106
    assert decide(6750, req=body, exact=False, capacity=105).reason is Reason.NEVER_FITS


def test_what_was_counted_in_doubt_decides_whether_it_fits_and_the_estimate_whether_it_is_long():
    body, policy = request(raw=b"x" * 27000), Policy(6700, "/v1/chat/completions")
    view = Outlook(colocated=False, prefillers=1, decoders=1, capacity=27)
    counted = Prompt(6750, "", most=6600)
    assert route(body, counted, policy, view) == Decision(True, Reason.THRESHOLD, 26)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (decide(9000, held=4904), Reason.THRESHOLD),
        (decide(9000, held=4905), Reason.CACHED),
        (decide(9000, threshold=0, held=9000), Reason.THRESHOLD),
        (decide(4000, held=1000), Reason.SHORT),
        (decide(9000, idle=True), Reason.THRESHOLD),
        (decide(9000, idle=True, gates=IDLE), Reason.DECODER_IDLE),
        (decide(9000, idle=False, gates=IDLE), Reason.THRESHOLD),
        (decide(9000, idle=True, prefillers=0, gates=IDLE), Reason.NO_PREFILLER),
        (decide(9000, ahead=10**6), Reason.THRESHOLD),
        (decide(9000, ahead=18000, gates=QUEUE), Reason.THRESHOLD),
        (decide(9000, ahead=18001, gates=QUEUE), Reason.PREFILL_QUEUE),
        (decide(9000, ahead=18001, warm=1, gates=QUEUE), Reason.THRESHOLD),
        (decide(9000, ahead=10000, held=3000, gates=QUEUE), Reason.PREFILL_QUEUE),
        (decide(9000, threshold=0, ahead=18001, gates=QUEUE), Reason.PREFILL_QUEUE),
    ],
)
def test_what_is_known_of_load_and_caches_overrules_length(decision, reason):
    assert (decision.reason, decision.disaggregate) == (reason, reason is Reason.THRESHOLD)
