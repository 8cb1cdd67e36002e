"""The section `routing`: how a request's path and its workers are chosen."""

from dataclasses import dataclass

from dpd_router.config.section import Section
from dpd_router.strategies import NAMES


@dataclass(frozen=True, slots=True)
class Routing:
    """`strategy` chooses prefillers and colocated workers, `decode_strategy` decoders."""

    threshold: int
    strategy: str
    decode_strategy: str


def read_routing(root: Section) -> Routing:
    """Return the section, or its defaults."""
    with root.section("routing") as routing:
        threshold = routing.integer("threshold", 4096, 0, 2**31 - 1)
        strategy = routing.text("strategy", "prefixaware", NAMES)
        return Routing(threshold, strategy, routing.text("decodeStrategy", "leastload", NAMES))
