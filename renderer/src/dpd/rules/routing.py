"""Routing: thresholds and strategies that are legal, but seldom what somebody wants."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, warning

_ROUTING: FieldPath = ("spec", "intelligentRoutingSpec")
_THRESHOLD: FieldPath = ("spec", "pdSpec", "routingThreshold")


def threshold_spares_short_prompts(endpoint: Endpoint) -> Iterator[Problem]:
    """A threshold of 0 sends every prompt over a prefiller."""
    if endpoint.part("pdSpec").get("routingThreshold") == 0:
        fact = "0 sends every prompt over a prefiller, short ones too, which costs them time to first token"
        yield warning(_THRESHOLD, fact, "write the number of tokens from which it pays, as in 4096")


def strategy_fits_prefillers(endpoint: Endpoint) -> Iterator[Problem]:
    """With several prefillers the default may send most prompts to one of them."""
    if not endpoint.is_disaggregated:
        return
    routing = endpoint.part("intelligentRoutingSpec")
    replicas = endpoint.part("pdSpec", "prefillSpec").get("replicas", 1)
    if replicas > 1 and "routingStrategy" not in routing and endpoint.is_sound(_ROUTING):
        fact = f"not set with {replicas} prefillers: prefixaware, the default, may load one more than the others"
        remedy = "write roundrobin to spread prompts evenly, or prefixaware to keep those with one beginning together"
        yield warning((*_ROUTING, "routingStrategy"), fact, remedy)
    if replicas == 1 and routing.get("routingStrategy") == "roundrobin":
        fact = "roundrobin has nothing to choose from with one prefiller"
        yield warning((*_ROUTING, "routingStrategy"), fact, "raise prefillSpec.replicas, or write prefixaware")


def router_cannot_be_off(endpoint: Endpoint) -> Iterator[Problem]:
    """pdSpec always has a router."""
    if endpoint.is_disaggregated and endpoint.part("intelligentRoutingSpec").get("enabled") is False:
        yield warning((*_ROUTING, "enabled"), "has no effect: pdSpec always has a router", "remove it, or write true")
