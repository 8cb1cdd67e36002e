"""A prefiller's caches outside its GPU: in host memory, and a store behind it that its successor finds again."""

from collections.abc import Iterator

import pytest

from engines.harness import prompts
from engines.harness.client import COMPLETIONS, Body, ask
from engines.harness.endpoint import Document, Endpoint, document
from engines.harness.evidence import retrieved
from engines.harness.stacks import Stacks
from engines.harness.store import PASSWORD, store


def caching(port: int) -> Document:
    """L1 and a store behind it; every prompt is looked up there, as where a busy GPU has forgotten it."""
    changed = document()
    spec = changed["spec"]
    spec["kvCacheSpec"] = {
        "enableL2Cache": True,
        "l2CacheSpec": {
            "l2CacheBackend": "redis",
            "l2CacheLocalUrl": f"redis://:$(STORE_PASSWORD)@127.0.0.1:{port}/1",
        },
    }
    spec["worker"]["environmentVariables"].append({"name": "STORE_PASSWORD", "value": PASSWORD})
    spec["pdSpec"]["prefillSpec"] = {"resources": {"limits": {"memory": "4Gi"}}, "args": ["--no-enable-prefix-caching"]}
    return changed


@pytest.fixture(scope="session")
def behind() -> Iterator[tuple[int, dict[bytes, bytes]]]:
    with store() as found:
        yield found


def asked(tokens: prompts.Tokens) -> list[list[int]]:
    """Prompts that go on from one another: what is held of each is less than what is new."""
    head, tail, other = tokens(600), tokens(2048), tokens(700)
    return [head, head + tail, head + tail, head + tail + other, head + tail + other, head[:300] + other]


def same(reference: Endpoint, found: Endpoint, prompt: list[int]) -> bool:
    body: Body = {"prompt": prompt, "max_tokens": 32}
    return ask(found.url(), COMPLETIONS, body).tokens == ask(reference.url(), COMPLETIONS, body).tokens


def test_what_a_prefiller_keeps_changes_no_answer(
    stacks: Stacks, reference: Endpoint, tokens: prompts.Tokens, behind: tuple[int, dict[bytes, bytes]]
) -> None:
    endpoint = stacks.made("caching", lambda: caching(behind[0]))
    mark = endpoint.mark("prefill")
    assert [same(reference, endpoint, each) for each in asked(tokens)] == [True] * 6
    assert sum(got for got, _ in retrieved(endpoint.log("prefill", mark))) > 5000


@pytest.mark.real
def test_a_prefillers_successor_finds_in_the_store_what_was_computed_before(
    stacks: Stacks, reference: Endpoint, tokens: prompts.Tokens, behind: tuple[int, dict[bytes, bytes]]
) -> None:
    port, held = behind
    questions = asked(tokens)
    first = stacks.made("caching", lambda: caching(port))
    for each in questions:
        assert same(reference, first, each)
    assert held
    stacks.stop()
    second = stacks.made("caching", lambda: caching(port))
    mark = second.mark("prefill")
    assert [same(reference, second, each) for each in questions] == [True] * len(questions)
    assert sum(got for got, _ in retrieved(second.log("prefill", mark))) > 5000
