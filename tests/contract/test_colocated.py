import pytest

from contract.samples import Samples
from contract.steps import (
    LEAVES,
    name,
    require_admission,
    require_effect_or_warning,
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


@pytest.mark.parametrize("field", [each for each in LEAVES if each.path[0] != "pdSpec"], ids=name)
def test_an_api_server_takes_what_a_field_brings_about_when_colocated(
    field: Field, colocated: Walk, direct: Direct
) -> None:
    require_admission(field, colocated, direct)
