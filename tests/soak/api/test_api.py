"""Thousands of requests generated from the router's own description: DPD_API_CASES of them, from DPD_API_SEED on."""

import os
import random
from pathlib import Path

import pytest

from router.described import bombard, endpoint, lines, pretty, quiet

CASES = int(os.environ.get("DPD_API_CASES", "2000"))


@pytest.mark.timeout(3600)
def test_no_generated_request_gets_a_fault_of_the_router_s_or_waits_without_end(tmp_path: Path) -> None:
    start = int(os.environ.get("DPD_API_SEED", "0")) or random.randrange(1, 2**31)
    print(f"DPD_API_SEED={start} DPD_API_CASES={CASES}")
    with endpoint(tmp_path, threshold=4) as made:
        bombard(made, CASES, start)
        assert sum(made.answers.values()) >= 0.9 * CASES, "hypothesis runs out of different cases for small requests"
        print(f"{sum(made.answers.values())} requests: {pretty(made.answers)}")
        for fault in made.engine_faults:
            print(f"the engine's own: {fault[:2000]}")
        assert not any(quiet(made, 120).values())
        assert lines(made, "disaggregate=True")
        assert not lines(made, "[ERROR]")
