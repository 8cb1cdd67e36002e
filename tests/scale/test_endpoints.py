"""A small number of endpoints, as `make scale` has many: no edit is lost, and nothing is left."""

from pathlib import Path

import pytest

from scale.endpoints import measure
from scale.planes import plane_with

pytestmark = pytest.mark.timeout(1200)


def test_endpoints_end_as_their_last_edits_say_and_leave_nothing_behind(tmp_path: Path) -> None:
    with plane_with(tmp_path, nodes=10) as plane:
        (tmp_path / "controller").mkdir()
        outcome = measure(plane, tmp_path / "controller", endpoints=20, alone=2)
    assert outcome.lost == []
    assert outcome.left == []
    assert "a fault of ours" not in outcome.log
    assert [each.took.count for each in outcome.phases] == [10, 20, 4, 20]
