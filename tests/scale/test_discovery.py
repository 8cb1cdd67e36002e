"""A hundred pods, as `make scale` has a thousand: the router knows all of them, and gives those that left no more."""

from pathlib import Path

import pytest

from scale.discovery import measure
from scale.planes import plane_with

pytestmark = pytest.mark.timeout(1200)


async def test_a_router_knows_all_pods_and_asks_none_that_left(tmp_path: Path) -> None:
    with plane_with(tmp_path, nodes=2, crds=()) as plane:
        (tmp_path / "router").mkdir()
        outcome = await measure(plane, tmp_path / "router", count=100, removed=20)
    assert outcome.removed == 20
    assert outcome.known == 80
    assert outcome.strays == []
    assert set(outcome.tally.ends) == {"whole"}, outcome.tally.odd
