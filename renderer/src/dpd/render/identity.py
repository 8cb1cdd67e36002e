"""metadata → the names everything of the release derives from."""

from dpd.endpoint import Endpoint
from dpd.yamlout import Entry


def entries(endpoint: Endpoint) -> tuple[Entry, ...]:
    """Return nameOverride, and namespaceOverride when the manifest names a namespace."""
    name = Entry("nameOverride", endpoint.name, "From metadata: every resource name derives from it.")
    if endpoint.namespace is None:
        return (name,)
    return (name, Entry("namespaceOverride", endpoint.namespace))
