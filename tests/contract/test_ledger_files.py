"""What the ledger says about itself: the files it names are there, and they are not the only thing it says."""

import pytest

from contract.steps import FIELDS, LEAVES, name
from schemagen.ledger import Field
from schemagen.ledger_page import source_file
from support.paths import ROOT

DRAWN = [each for each in FIELDS if each.row and "does" in each.row]


def files(field: Field) -> list[str]:
    where = (field.row or {})["where"]
    return [where] if isinstance(where, str) else list(where)


@pytest.mark.parametrize("field", DRAWN, ids=name)
def test_the_file_that_draws_a_field_is_there(field: Field) -> None:
    assert [each for each in files(field) if not (ROOT / source_file(each)).is_file()] == []


def test_the_walk_has_as_many_steps_as_the_contract_has_leaves() -> None:
    assert len(LEAVES) == len({each.path for each in LEAVES}) > 300
