import pytest

from contract.samples import Samples
from contract.steps import LEAVES, name, require_effect_or_warning
from contract.walk import Walk
from schemagen.ledger import Field

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("field", LEAVES, ids=name)
def test_a_field_takes_effect_under_pd_spec_or_dpd_render_warns(
    field: Field, disaggregated: Walk, samples: Samples
) -> None:
    require_effect_or_warning(field, disaggregated, samples.note(field.owner, field.path), "disaggregated")
