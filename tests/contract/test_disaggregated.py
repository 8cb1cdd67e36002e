import pytest

from contract.samples import Samples
from contract.steps import LEAVES, name, require_admission, require_effect_or_warning
from contract.walk import Walk
from schemagen.ledger import Field
from support.direct import Direct

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("field", LEAVES, ids=name)
def test_a_field_takes_effect_under_pd_spec_or_dpd_render_warns(
    field: Field, disaggregated: Walk, samples: Samples
) -> None:
    require_effect_or_warning(field, disaggregated, samples.note(field.owner, field.path), "disaggregated")


@pytest.mark.parametrize("field", LEAVES, ids=name)
def test_an_api_server_takes_what_a_field_brings_about_under_pd_spec(
    field: Field, disaggregated: Walk, direct: Direct
) -> None:
    require_admission(field, disaggregated, direct)
