from engines.harness import prompts
from engines.harness.client import CHAT, COMPLETIONS, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import COMPUTED, TRANSFERRED, buffer_empty, eventually, retrieved, sources, total

DECISION = "[INFO] Conditional routing: estimated_tokens={}, threshold=256, disaggregate={}"


def user(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


def test_a_short_prompt_goes_straight_to_the_decoder(disaggregated: Endpoint) -> None:
    text = prompts.text(3)
    before, marks = sources(disaggregated), {each: disaggregated.mark(each) for each in ("prefill", "decode", "router")}
    answer = ask(disaggregated.url(), CHAT, user(text))
    after = sources(disaggregated)
    assert after[COMPUTED] - before[COMPUTED] == answer.usage["prompt_tokens"]
    assert after[TRANSFERRED] == before[TRANSFERRED]
    assert DECISION.format(len(text) // 4, False) in disaggregated.log("router", marks["router"])
    assert "POST" not in disaggregated.log("prefill", marks["prefill"])


def test_a_long_prompt_arrives_whole_by_transfer_and_is_not_computed_again(disaggregated: Endpoint) -> None:
    text = prompts.text(120)
    before, marks = sources(disaggregated), {each: disaggregated.mark(each) for each in ("decode", "router")}
    answer = ask(disaggregated.url(), CHAT, user(text))
    count = answer.usage["prompt_tokens"]
    after = sources(disaggregated)
    assert count > 2000
    assert retrieved(disaggregated.log("decode", marks["decode"])) == [(count, count)]
    assert after[TRANSFERRED] - before[TRANSFERRED] >= count - 1
    assert after[COMPUTED] - before[COMPUTED] <= 1
    assert DECISION.format(len(text) // 4, True) in disaggregated.log("router", marks["router"])


def test_the_threshold_divides_prompts_at_the_very_token(disaggregated: Endpoint) -> None:
    for characters, crosses in ((1023, False), (1024, True)):
        mark = disaggregated.mark("router")
        text = prompts.text(40)[:characters]
        ask(disaggregated.url(), CHAT, user(text), stream=True)
        assert DECISION.format(characters // 4, crosses) in disaggregated.log("router", mark)


def test_a_beginning_that_was_asked_before_is_not_computed_again_by_the_prefiller(disaggregated: Endpoint) -> None:
    hits = "vllm:prefix_cache_hits_total"
    opening = prompts.text(60)
    ask(disaggregated.url(), CHAT, user(opening + prompts.text(2)))
    before, mark = total(disaggregated, "prefill", hits), disaggregated.mark("decode")
    answer = ask(disaggregated.url(), CHAT, user(opening + prompts.text(2)))
    assert total(disaggregated, "prefill", hits) - before > 1000
    count = answer.usage["prompt_tokens"]
    assert retrieved(disaggregated.log("decode", mark)) == [(count, count)]


def test_the_same_prompt_twice_is_transferred_twice(disaggregated: Endpoint, tokens: prompts.Tokens) -> None:
    prompt = {"prompt": tokens(1500)}
    answers = []
    for _ in range(2):
        mark = disaggregated.mark("decode")
        answers.append(ask(disaggregated.url(), COMPLETIONS, prompt).tokens)
        assert retrieved(disaggregated.log("decode", mark)) == [(1500, 1500)]
    assert answers[0] == answers[1]


def test_the_decoders_buffer_is_empty_when_nobody_asks(disaggregated: Endpoint) -> None:
    ask(disaggregated.url(), CHAT, user(prompts.text(100)))
    assert eventually(lambda: buffer_empty(disaggregated), 30)
