import pytest

from engines.harness import prompts
from engines.harness.client import CHAT, COMPLETIONS, Leaver, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import COMPUTED, TRANSFERRED, eventually, sources, total

SIZES = [1, 40, 255, 256, 257, 700, 1500, 3000, 4000]
ENGINE_USAGE = "vllm:kv_cache_usage_perc"
# Of 512 blocks of 32 tokens; a prompt of 4,000 tokens takes 0.24.
SMALL = 0.05


def idle(endpoint: Endpoint) -> bool:
    """Whether neither engine holds a prompt's blocks: a prefiller keeps those of a transfer until they are fetched.

    An engine sets the gauge when it computes, so it is given something small first; that may still be in it.
    """
    for role in ("prefill", "decode"):
        ask(endpoint.url(role), COMPLETIONS, {"prompt": "a", "max_tokens": 1})
    return all(total(endpoint, role, ENGINE_USAGE) < SMALL for role in ("prefill", "decode"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("size", SIZES)
def test_tokens_are_those_of_one_engine(
    nixl: Endpoint, reference: Endpoint, tokens: prompts.Tokens, size: int, stream: bool
) -> None:
    body = {"prompt": tokens(size)}
    found = ask(nixl.url(), COMPLETIONS, body, stream=stream)
    expected = ask(reference.url(), COMPLETIONS, body)
    assert (found.tokens, found.finish) == (expected.tokens, expected.finish)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_chats_are_those_of_one_engine(nixl: Endpoint, reference: Endpoint, stream: bool) -> None:
    for sentences in (2, 60, 120):
        body = {"messages": [{"role": "user", "content": prompts.text(sentences)}]}
        found = ask(nixl.url(), CHAT, body, stream=stream)
        assert found.tokens == ask(reference.url(), CHAT, body).tokens


def test_a_long_prompt_is_fetched_by_the_decoder_and_one_token_of_it_is_computed(
    nixl: Endpoint, tokens: prompts.Tokens
) -> None:
    before = sources(nixl)
    ask(nixl.url(), COMPLETIONS, {"prompt": tokens(3000)})
    after = sources(nixl)
    assert after[TRANSFERRED] - before[TRANSFERRED] >= 2999
    assert after[COMPUTED] - before[COMPUTED] <= 1


def test_clients_that_leave_during_prefill_leave_no_block_behind(
    nixl: Endpoint, reference: Endpoint, tokens: prompts.Tokens
) -> None:
    marks = []
    for _ in range(5):
        marks.append(nixl.mark("router"))
        client = Leaver(nixl.url(), COMPLETIONS, {"prompt": tokens(4000)})
        assert eventually(lambda: "prefill selection" in nixl.log("router", marks[-1]), 30)
        client.leave()
    assert eventually(lambda: idle(nixl), 60)
    body = {"prompt": tokens(3000)}
    assert ask(nixl.url(), COMPLETIONS, body).tokens == ask(reference.url(), COMPLETIONS, body).tokens


def test_a_prefiller_that_dies_before_its_blocks_are_fetched_costs_no_answer(
    nixl: Endpoint, reference: Endpoint, tokens: prompts.Tokens
) -> None:
    nixl.processes.kill(nixl.one("prefill"))
    try:
        body = {"prompt": tokens(2000)}
        assert ask(nixl.url(), COMPLETIONS, body).tokens == ask(reference.url(), COMPLETIONS, body).tokens
    finally:
        nixl.processes.restart(nixl.one("prefill"))

    def moved() -> bool:
        before = sources(nixl)[TRANSFERRED]
        ask(nixl.url(), COMPLETIONS, {"prompt": tokens(2000)})
        return sources(nixl)[TRANSFERRED] > before

    assert eventually(moved, 60)
