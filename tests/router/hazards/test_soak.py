import pytest

from router.hazards.fuzz import fuzz
from router.hazards.world import LMCACHE, NIXL


@pytest.mark.parametrize("connector", [LMCACHE, NIXL])
async def test_a_crowd_that_comes_and_goes_while_engines_fail_leaves_nothing_behind(connector: str) -> None:
    tally = await fuzz(connector, seed=1, count=150)
    assert tally.ended["answered"] > tally.requests / 3
    assert tally.ended["left"]
