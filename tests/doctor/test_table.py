"""The troubleshooting table of docs/operations.md, the checks and the tests that provoke each fault: one list."""

import re
from pathlib import Path

import pytest

from dpd.doctor.checks import CHECKS
from support.paths import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = re.findall(r"\| `([a-z-]+)` \|$", PAGE.partition("## Troubleshooting\n")[2].partition("\n## ")[0], re.MULTILINE)
PROVOKED = ("test_provoked.py", "test_cluster.py", "test_doors.py")


def test_the_documentation_has_a_row_for_every_check() -> None:
    assert set(ROWS) == {each.name for each in CHECKS}
    assert len(ROWS) >= 15


@pytest.mark.parametrize("name", sorted(set(ROWS)))
def test_every_row_is_provoked_by_a_test_that_expects_its_name_and_no_other(name: str) -> None:
    tests = "".join(Path(__file__).with_name(file).read_text(encoding="utf-8") for file in PROVOKED)
    expected = {*re.findall(r'== \["([a-z-]+)"\]', tests), *re.findall(r', "([a-z-]+)"\),$', tests, re.MULTILINE)}
    assert name in expected
