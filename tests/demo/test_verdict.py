from dpd_local import prompts, verdict
from dpd_local.prompts import Question

LINE = "[INFO] Conditional routing: estimated_tokens={}, threshold=4096, disaggregate={}"
GOT = "[Worker_TP0] [LMCache INFO] Retrieved {} out of {} required tokens (from 6035 total tokens). throughput: 1 GB/s"
LONG = Question("long prompt", "x" * 27000, 30, True)
SHORT = Question("short prompt", "x" * 53, 80, False)


def faults(question: Question, router: str, decoder: str, answer: str = "yes") -> list[str]:
    return verdict.faults(question, verdict.Evidence(answer, router, decoder), routed=True)


def test_the_pages_long_prompt_is_estimated_at_6750_tokens() -> None:
    short, long = prompts.questions(4096, 16384)
    assert (long.estimate, long.disaggregated) == (6750, True)
    assert not short.disaggregated


def test_a_higher_threshold_makes_the_long_prompt_longer() -> None:
    assert prompts.questions(12000, None)[1].estimate >= 12000


def test_a_short_model_length_makes_the_long_prompt_shorter() -> None:
    _, long = prompts.questions(4096, 2048)
    assert long.text.count(".") * prompts.TOKENS_PER_SENTENCE < 2048
    assert not long.disaggregated


def test_a_threshold_of_zero_sends_everything_through_a_prefiller() -> None:
    assert all(each.disaggregated for each in prompts.questions(0, 16384))


def test_without_prefillers_nothing_is_disaggregated() -> None:
    assert not any(each.disaggregated for each in prompts.questions(None, 16384))


def test_a_full_transfer_is_fine() -> None:
    assert faults(LONG, LINE.format(6750, True), GOT.format(6035, 6035)) == []


def test_a_direct_answer_is_fine() -> None:
    assert faults(SHORT, LINE.format(13, False), "") == []


def test_a_partial_transfer_is_told() -> None:
    found = faults(LONG, LINE.format(6750, True), GOT.format(0, 6035))
    assert found == ["long prompt: retrieved 0 out of 6035 tokens; the decoder computed the rest itself"]


def test_a_missing_transfer_is_told() -> None:
    found = faults(LONG, LINE.format(6750, True), "")
    assert found == ["long prompt: the decoder logged no retrieval; the transfer did not happen"]


def test_a_wrong_decision_is_told_with_the_line() -> None:
    line = LINE.format(6750, False)
    expected = f"long prompt: {line}, expected disaggregate=True; compare routingThreshold"
    assert expected in faults(LONG, line, GOT.format(5, 5))


def test_a_silent_router_is_told() -> None:
    assert faults(SHORT, "", "") == ["short prompt: the router logged no decision; it did not see the request"]


def test_an_empty_answer_is_told() -> None:
    assert faults(SHORT, LINE.format(13, False), "", " ") == [
        "short prompt: the answer is empty; read the decoder's log"
    ]


def test_a_short_prompt_that_takes_over_tokens_is_told() -> None:
    found = faults(SHORT, LINE.format(13, False), GOT.format(5, 5))
    assert found == ["short prompt: went direct, yet the decoder retrieved tokens"]


FETCHED = "INFO [dpd_sim] KV Transfer metrics: Num successful transfers={}, Avg xfer time (ms)=24.532"


def test_what_the_decoder_fetched_is_a_transfer_too() -> None:
    assert faults(LONG, LINE.format(6750, True), FETCHED.format(1)) == []
    assert faults(LONG, LINE.format(6750, True), FETCHED.format(0)) != []
    assert faults(SHORT, LINE.format(13, False), FETCHED.format(1)) != []
