import pytest

from contract.samples import Samples
from contract.steps import (
    LEAVES,
    PARTLY_DRAWN,
    name,
    require_admission,
    require_effect_or_warning,
    require_warning_and_no_effect,
)
from contract.walk import Walk
from schemagen.ledger import Field
from support.direct import Direct

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("field", [each for each in LEAVES if each.path[0] != "pdSpec"], ids=name)
def test_a_field_takes_effect_when_colocated_or_dpd_render_warns(
    field: Field, colocated: Walk, samples: Samples
) -> None:
    require_effect_or_warning(field, colocated, samples.note(field.owner, field.path), "colocated")


def test_a_value_that_is_not_drawn_is_warned_of_though_others_are(colocated: Walk, samples: Samples) -> None:
    for field in PARTLY_DRAWN:
        if field.path[0] != "pdSpec":
            require_warning_and_no_effect(field, field, colocated, samples.note(field.owner, field.path)["undrawn"])
    assert PARTLY_DRAWN  # all of them under pdSpec as this is written, where the other walk tries them


@pytest.mark.parametrize("field", [each for each in LEAVES if each.path[0] != "pdSpec"], ids=name)
def test_an_api_server_takes_what_a_field_brings_about_when_colocated(
    field: Field, colocated: Walk, direct: Direct
) -> None:
    require_admission(field, colocated, direct)
