"""pdSpec and the transfer annotation → the fabric that carries KV from prefillers to decoders."""

from dpd.endpoint import TRANSFER_ANNOTATION, Endpoint
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
    held = [Entry("fabric", chosen, reason)]
    if not any(role.has_gpus for role in endpoint.roles):
        held.append(Entry("bufferDevice", "cpu", "From the roles' resources: neither asks for a GPU."))
    return (Entry("transfer", tuple(held)),)
