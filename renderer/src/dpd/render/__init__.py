"""Third stop of a manifest: endpoint → the entries of its values file, one section of the manifest per module.

Pure: the same endpoint always gives the same entries. What the manifest says comes out word for word; what is derived
from the table of instance types or by arithmetic carries a comment that says how.
"""

from collections.abc import Sequence

from dpd.endpoint import Endpoint
from dpd.render import cache, identity, instance, prefetch, spec, transfer
from dpd.render.header import header
from dpd.yamlout import Entry

__all__ = ["header", "values"]


def values(endpoint: Endpoint, spec_keys: Sequence[str]) -> tuple[Entry, ...]:
    """Return the entries of the values file. `spec_keys`: the keys of the contract's spec in their order."""
    return (
        *identity.entries(endpoint),
        *spec.entries(endpoint, spec_keys),
        *instance.entries(endpoint),
        *transfer.entries(endpoint),
        *cache.entries(endpoint),
        *prefetch.entries(endpoint),
    )
