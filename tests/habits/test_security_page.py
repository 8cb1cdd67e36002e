"""Every test that docs/security.md leans on is there."""

import re

import pytest

from support.paths import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:tests|charts)/[\w/.-]+\.(?:py|yaml))` `([^`]+)`", PAGE)


def test_every_threat_has_a_test() -> None:
    rows = [line for line in PAGE.partition("| threat |")[2].partition("\n\n")[0].splitlines()[2:] if line]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"_test\.yaml`|/test_\w+\.py`", row.split(" | ")[-1])] == []


@pytest.mark.parametrize(("file", "part"), NAMED, ids=" ".join)
def test_a_test_that_is_named_is_there(file: str, part: str) -> None:
    pattern = r"^(?:async )?def (test_\w+)" if file.endswith(".py") else r"^  - it: (.*)$"
    assert [
        each for each in re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE) if part in each
    ]
