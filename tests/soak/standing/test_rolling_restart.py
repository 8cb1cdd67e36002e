"""Two routers restarted again and again behind real balancers, under load."""

import os
from pathlib import Path

import pytest

from router.rolling import rolling_restart

ROUNDS = int(os.environ.get("DPD_SOAK_ROUNDS", "5"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
async def test_no_request_fails_while_routers_are_restarted_one_after_the_other(kind: str, tmp_path: Path) -> None:
    tally, statuses = await rolling_restart(kind, tmp_path, rounds=ROUNDS, clients=24)
    print(f"balancer={kind} requests={tally.ends.total()} ends={dict(tally.ends)}")
    assert set(tally.ends) == {"whole"}, tally.odd
    assert statuses == [0] * 2 * ROUNDS
