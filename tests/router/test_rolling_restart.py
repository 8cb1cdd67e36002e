"""Small: one round. tests/soak/standing has the long one."""

import os

import pytest

import debian
from router.rolling import rolling_restart


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
async def test_two_routers_are_restarted_one_after_the_other_and_no_request_fails(kind, tmp_path):
    try:
        tally, statuses = await rolling_restart(kind, tmp_path, rounds=1, clients=4)
    except debian.UnavailableError as problem:
        leave_out = pytest.fail if os.environ.get("CI") else pytest.skip
        leave_out(f"no {kind}: {problem}")
    assert set(tally.ends) == {"whole"}, tally.odd
    assert statuses == [0, 0]
