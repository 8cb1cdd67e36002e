"""pdSpec and its annotations → what carries KV from prefillers to decoders: the connector, and the fabric under it."""

from dpd.endpoint import CONNECTOR_ANNOTATION, TRANSFER_ANNOTATION, Endpoint
from dpd.pages import pages_of
from dpd.yamlout import Entry


def fabric(endpoint: Endpoint) -> tuple[str, str]:
    """Return `efa` or `tcp`, and the reason for it."""
    asked = endpoint.annotations.get(TRANSFER_ANNOTATION)
    if asked is not None:
        return asked, f"From annotation {TRANSFER_ANNOTATION}: {asked}."
    if endpoint.instance_types:
        return "efa", f"From pdSpec: EFA, unless annotation {TRANSFER_ANNOTATION} says tcp."
    reason = f"No instance type is named, so EFA cannot be counted on: TCP. Annotation {TRANSFER_ANNOTATION} decides."
    return "tcp", reason


def entries(endpoint: Endpoint) -> tuple[Entry, ...]:
    """Return the transfer entry of a disaggregated endpoint, nothing for a colocated one."""
    if not endpoint.is_disaggregated:
        return ()
    chosen, reason = fabric(endpoint)
    held = [*_connector(endpoint), Entry("fabric", chosen, reason)]
    if not any(role.has_gpus for role in endpoint.roles):
        held.append(Entry("bufferDevice", "cpu", "From the roles' resources: neither asks for a GPU."))
    held.extend(_pages(endpoint))
    return (Entry("transfer", tuple(held)),)


def _connector(endpoint: Endpoint) -> tuple[Entry, ...]:
    """The connector, when the manifest names one."""
    asked = endpoint.annotations.get(CONNECTOR_ANNOTATION)
    return (Entry("connector", asked, f"From annotation {CONNECTOR_ANNOTATION}: {asked}."),) if asked else ()


def _pages(endpoint: Endpoint) -> tuple[Entry, ...]:
    """The room in a decoder's buffer, when it has one and the model is one whose KV is known."""
    pages = pages_of(endpoint)
    if pages is None or not pages.count:
        return ()
    ranks = f"{pages.ranks} rank{'s' if pages.ranks > 1 else ''}"
    comment = f"Pages in a decoder's buffer, for {pages.shape.name} over {ranks}: {pages.arithmetic}, rounded down."
    return (Entry("pagesPerDecoder", pages.count, comment),)
