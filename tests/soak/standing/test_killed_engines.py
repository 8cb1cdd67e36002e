"""Each of four engines is killed in turn under load: nobody who was told nothing yet notices."""

import os
from pathlib import Path

import pytest

from router.killing import kill_each

ROUNDS = int(os.environ.get("DPD_SOAK_ROUNDS", "3"))


@pytest.mark.timeout(900)
async def test_killing_each_engine_in_turn_fails_no_request_that_had_not_begun(tmp_path: Path) -> None:
    tally = await kill_each(tmp_path, rounds=ROUNDS, clients=12, away=3.0, tokens=60)
    print(f"requests={tally.ends.total()} ends={dict(tally.ends)}")
    assert tally.ends["whole"] > 0
    assert set(tally.ends) <= {"whole", "told"}, tally.odd
