import concurrent.futures
import random
import time
from collections.abc import Sequence

import pytest

from engines.harness import prompts
from engines.harness.client import COMPLETIONS, Body, Leaver, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import buffer_empty, eventually, retrieved
from engines.harness.stacks import SMALL_PAGES

REQUESTS, CONCURRENCY, LEAVING = 200, 16, 0.25
SIZES = (5, 60, 200, 300, 700, 1100, 1500, 2200, 3000, 3900)
Case = tuple[Body, list[int]]


@pytest.fixture
def cases(reference: Endpoint, tokens: prompts.Tokens) -> list[Case]:
    bodies: list[Body] = [{"prompt": tokens(size), "max_tokens": 12} for size in SIZES for _ in range(3)]
    return [(body, ask(reference.url(), COMPLETIONS, body).tokens) for body in bodies]


def one(endpoint: Endpoint, case: Case, choose: random.Random) -> str:
    """One client: it waits for its answer, or leaves after a moment; says how that went."""
    body, expected = case
    if choose.random() < LEAVING:
        client = Leaver(endpoint.url(), COMPLETIONS, {**body, "stream": choose.random() < 0.5})
        time.sleep(choose.random() * 2)
        client.leave()
        return "left"
    found = ask(endpoint.url(), COMPLETIONS, body, stream=choose.random() < 0.5)
    return "right" if found.tokens == expected else f"wrong: {found.tokens} instead of {expected}"


def load(endpoint: Endpoint, cases: Sequence[Case], count: int) -> list[str]:
    choose = random.Random(1)
    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as pool:
        futures = [
            pool.submit(one, endpoint, choose.choice(cases), random.Random(choose.random())) for _ in range(count)
        ]
        return [each.result() for each in futures]


def test_two_hundred_requests_and_random_leavers_end_with_right_answers_and_an_empty_buffer(
    disaggregated: Endpoint, cases: list[Case]
) -> None:
    outcomes = load(disaggregated, cases, REQUESTS)
    assert set(outcomes) == {"right", "left"}
    assert len(retrieved(disaggregated.log("decode"))) > 50
    assert eventually(lambda: buffer_empty(disaggregated), 60)


def test_a_buffer_too_small_for_the_load_makes_requests_wait_and_never_wedges(
    small: Endpoint, cases: list[Case]
) -> None:
    assert sum(len(body["prompt"]) // 256 + 1 for body, _ in cases) > SMALL_PAGES
    outcomes = load(small, cases, REQUESTS // 2)
    assert set(outcomes) == {"right", "left"}
    assert "Failed to allocate memory object" not in small.log("decode")
    assert eventually(lambda: buffer_empty(small), 60)


def test_a_prompt_longer_than_the_estimate_does_not_overfill_a_small_buffer(
    small: Endpoint, reference: Endpoint
) -> None:
    # Code makes more tokens of its characters than four to one: the pages taken are more than the estimate says.
    bodies: list[Body] = [{"prompt": prompts.text(120), "max_tokens": 4} for _ in range(12)]
    expected = [ask(reference.url(), COMPLETIONS, each).tokens for each in bodies]
    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
        found = list(pool.map(lambda each: ask(small.url(), COMPLETIONS, each).tokens, bodies))
    assert found == expected
    assert "Failed to allocate memory object" not in small.log("decode")
