"""Fields that say something nobody will hear."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.ledger import undrawn
from dpd.problems import Problem, warning


def replicas_are_the_roles(endpoint: Endpoint) -> Iterator[Problem]:
    """Under pdSpec each role has its own replicas."""
    if endpoint.is_disaggregated and endpoint.spec.get("replicas", 1) != 1:
        fact = "not used under pdSpec"
        remedy = "set pdSpec.prefillSpec.replicas and pdSpec.decodingSpec.replicas, and remove it"
        yield warning(("spec", "replicas"), fact, remedy)


def pd_spec_is_not_empty(endpoint: Endpoint) -> Iterator[Problem]:
    """A key without a value is no key; for this one that changes the endpoint's whole shape."""
    if ("spec", "pdSpec") in endpoint.empty:
        fact = "has no value, so the endpoint is colocated"
        yield warning(("spec", "pdSpec"), fact, "fill in prefillSpec and decodingSpec, or remove it")


def every_field_is_drawn(endpoint: Endpoint) -> Iterator[Problem]:
    """What the chart does not draw yet is said, not passed over."""
    for path, note in undrawn(endpoint.spec):
        yield warning(("spec", *path), *note)
