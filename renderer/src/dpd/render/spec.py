"""spec → the same keys and values at top level, word for word, in the contract's order."""

from collections.abc import Sequence

from dpd.endpoint import Endpoint
from dpd.yamlout import Entry

_COMMENT = "From spec, word for word."


def entries(endpoint: Endpoint, spec_keys: Sequence[str]) -> tuple[Entry, ...]:
    """Return one entry per key of the spec."""
    present = [key for key in spec_keys if key in endpoint.spec]
    return tuple(Entry(key, endpoint.spec[key], "" if at else _COMMENT) for at, key in enumerate(present))
