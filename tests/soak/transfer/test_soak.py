"""Ten thousand requests, half over each connector: DPD_SOAK_REQUESTS is their number, DPD_SOAK_SEED the first seed.

A run is a thousand requests over engines and a router of its own; its line says the seed with which it can be repeated.
"""

import os
import random
from collections import Counter

import pytest

from router.hazards.fuzz import fuzz
from router.hazards.world import LMCACHE, NIXL

REQUESTS = int(os.environ.get("DPD_SOAK_REQUESTS", "10000"))
SEED = int(os.environ.get("DPD_SOAK_SEED") or random.SystemRandom().randrange(10**6))
RUN = 1000


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("connector", [LMCACHE, NIXL])
async def test_nothing_leaks_is_decoded_twice_broken_off_or_left_without_an_answer(connector: str) -> None:
    left, seed, ended = REQUESTS // 2, SEED, Counter[str]()
    while left > 0:
        ended += (await fuzz(connector, seed, min(left, RUN))).ended
        left, seed = left - RUN, seed + 1
    assert ended["answered"] > REQUESTS / 2 / 3
    assert ended["left"]
