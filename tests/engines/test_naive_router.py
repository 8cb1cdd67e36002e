import concurrent.futures
import random
import time
import urllib.request
from collections.abc import Iterator

import pytest

from engines.harness import prompts
from engines.harness.client import COMPLETIONS, Body, Leaver, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import buffer_empty, eventually
from engines.harness.naive import naive
from engines.harness.stacks import SMALL_PAGES, Stacks
from engines.test_hazards import receiver

PATIENCE, LEAVERS = 20.0, 60
FULL = "Failed to allocate memory object"


@pytest.fixture
def engines(stacks: Stacks) -> Iterator[Endpoint]:
    """A pair with a small buffer that no other test uses, for it does not survive this one."""
    yield stacks.small()
    stacks.stop()


def unanswered(url: str, body: Body) -> bool:
    try:
        ask(url, COMPLETIONS, body, seconds=PATIENCE)
    except OSError:
        return True
    return False


def leave(url: str, bodies: list[Body]) -> None:
    """As many clients as bodies, 16 at once; each leaves within half a second, so most of them in its prefill."""
    choose = random.Random(1)

    def one(body: Body, moment: float) -> None:
        client = Leaver(url, COMPLETIONS, body)
        time.sleep(moment)
        client.leave()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, bodies, [choose.random() / 2 for _ in bodies]))


@pytest.fixture
def bodies(tokens: prompts.Tokens) -> list[Body]:
    found: list[Body] = [{"prompt": tokens(3000), "max_tokens": 12} for _ in range(LEAVERS)]
    assert sum(len(each["prompt"]) // 256 for each in found) > SMALL_PAGES
    return found


def test_clients_that_leave_wedge_the_engines_behind_a_router_without_ledger_and_drain(
    engines: Endpoint, tokens: prompts.Tokens, bodies: list[Body]
) -> None:
    with naive(engines.url("prefill"), engines.url("decode"), receiver(engines)) as url:
        # It does serve: what happens below is not for want of a request's right form.
        whole: Body = {"prompt": tokens(2000), "max_tokens": 4}
        assert not unanswered(url, whole)
        mark = engines.mark("decode")
        leave(url, bodies)
        assert eventually(lambda: FULL in engines.log("decode", mark), 60)
        assert unanswered(url, whole)
        assert not buffer_empty(engines)
        for role in ("prefill", "decode"):
            with urllib.request.urlopen(engines.one(role).health, timeout=30) as health:
                assert health.status == 200
        # What needs no transfer is still served: the pair looks well from everywhere but its buffer.
        assert not unanswered(engines.url("decode"), {"prompt": tokens(20), "max_tokens": 2})


def test_our_router_outlives_the_same_clients_on_the_same_engines(
    small: Endpoint, reference: Endpoint, tokens: prompts.Tokens, bodies: list[Body]
) -> None:
    decoded, routed = small.mark("decode"), small.mark("router")
    leave(small.url(), bodies)
    whole: Body = {"prompt": tokens(2000), "max_tokens": 4}
    expected = ask(reference.url(), COMPLETIONS, whole).tokens
    assert ask(small.url(), COMPLETIONS, whole).tokens == expected
    assert FULL not in small.log("decode", decoded)
    assert "end=drained" in small.log("router", routed)
    assert eventually(lambda: buffer_empty(small), 60)
