import re

from dpd_router.strategies import NAMES
from dpd_router.types import Reason, Route
from support.paths import ROOT

PAGE = (ROOT / "docs" / "routing.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", PAGE, flags=re.MULTILINE)


def test_every_reason_is_explained_and_no_other():
    explained = [name for name, path in ROWS if path.strip() in set(Route)]
    assert sorted(explained) == sorted(Reason)
    assert len(set(explained)) == len(explained)


def test_every_strategy_is_explained():
    assert set(NAMES) <= {name for name, _ in ROWS}
