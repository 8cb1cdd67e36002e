import pytest

from engines.harness import prompts
from engines.harness.client import CHAT, COMPLETIONS, Body, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import TRANSFERRED, retrieved, sources

LONGEST = 4000
SIZES = list(prompts.sizes(32, LONGEST))
SENTENCES = [0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 37, 45, 55, 66, 80, 95, 110, 125, 140]


def told(usage: Body) -> Body:
    """What a usage says: only a whole answer names also what it says nothing of."""
    return {name: value for name, value in usage.items() if value is not None}


def same(reference: Endpoint, disaggregated: Endpoint, path: str, body: Body, stream: bool) -> int:
    """Ask both for the same; returns the prompt's tokens."""
    expected = ask(reference.url(), path, body)
    found = ask(disaggregated.url(), path, body, stream=stream)
    assert found.tokens == expected.tokens
    assert (found.text, found.finish) == (expected.text, expected.finish)
    assert told(found.usage) == told(expected.usage)
    assert len(found.tokens) == body["max_tokens"] or found.finish == "stop"
    return int(found.usage["prompt_tokens"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("size", SIZES)
def test_completions_of_every_size_are_those_of_one_engine(
    reference: Endpoint, disaggregated: Endpoint, tokens: prompts.Tokens, size: int, stream: bool
) -> None:
    mark = disaggregated.mark("decode")
    body: Body = {"prompt": tokens(size), "max_tokens": 32}
    assert same(reference, disaggregated, COMPLETIONS, body, stream) == size
    expected = [(size, size)] if size >= 256 else []
    assert retrieved(disaggregated.log("decode", mark)) == expected


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("sentences", SENTENCES)
def test_chats_of_every_size_are_those_of_one_engine(
    reference: Endpoint, disaggregated: Endpoint, sentences: int, stream: bool
) -> None:
    text = prompts.text(sentences)
    before = sources(disaggregated)[TRANSFERRED]
    body: Body = {"messages": [{"role": "user", "content": text}], "max_tokens": 32}
    count = same(reference, disaggregated, CHAT, body, stream)
    moved = sources(disaggregated)[TRANSFERRED] - before
    assert moved >= count - 1 if len(text) >= 1024 else moved == 0


def test_the_sizes_asked_reach_from_one_token_to_four_thousand() -> None:
    assert len(set(SIZES)) == len(SIZES) >= 30
    assert (SIZES[0], SIZES[-1]) == (1, LONGEST)
    assert sum(size >= 256 for size in SIZES) >= 10
