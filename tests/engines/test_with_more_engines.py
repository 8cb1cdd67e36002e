import concurrent.futures
import threading

import pytest

from engines.harness import prompts
from engines.harness.client import COMPLETIONS, Body, ask
from engines.harness.evidence import retrieved
from engines.harness.stacks import Stacks

SIZES = (300, 900, 1500, 2400, 3300, 4000)
COUNT = 24


@pytest.fixture(scope="module")
def expected(stacks: Stacks) -> list[tuple[Body, list[int]]]:
    """Prompts and what one engine answers, asked before it makes room for more engines."""
    tokens = prompts.tokens(stacks.vocabulary())
    bodies: list[Body] = [{"prompt": tokens(SIZES[each % len(SIZES)]), "max_tokens": 12} for each in range(COUNT)]
    return [(body, ask(stacks.reference().url(), COMPLETIONS, body).tokens) for body in bodies]


@pytest.mark.parametrize("role", ["prefill", "decode"])
def test_two_engines_of_a_role_share_the_work_and_no_answer_is_wrong(
    stacks: Stacks, expected: list[tuple[Body, list[int]]], role: str
) -> None:
    endpoint = stacks.several(role)
    together = threading.Barrier(4)

    def one(case: tuple[Body, list[int]]) -> bool:
        together.wait(60)
        return ask(endpoint.url(), COMPLETIONS, case[0]).tokens == case[1]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, expected))
    moved = [pair for log in endpoint.logs("decode") for pair in retrieved(log)]
    assert sorted(needed for _, needed in moved) == sorted(len(body["prompt"]) for body, _ in expected)
    assert all(got == needed for got, needed in moved)
    assert [log for log in endpoint.logs(role) if f"POST {COMPLETIONS}" in log] == endpoint.logs(role)
