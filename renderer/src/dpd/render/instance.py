"""instanceType(s) → facts of one node, so that the chart can ask for EFA devices and huge pages."""

from dpd.endpoint import Endpoint
from dpd.instances import HUGEPAGES_2MI, Instance, facts_of, least
from dpd.yamlout import Entry


def facts(endpoint: Endpoint) -> Instance | None:
    """Return what every node the endpoint may run on offers at least, or None when that cannot be known."""
    found = [facts_of(each) for each in endpoint.instance_types]
    known = [each for each in found if each is not None]
    return least(known) if known and len(known) == len(found) else None


def entries(endpoint: Endpoint) -> tuple[Entry, ...]:
    """Return the instance entry, or nothing when an instance type is unknown or none is named."""
    node = facts(endpoint)
    if node is None:
        return ()
    pairs = [
        ("gpus", node.gpus),
        ("gpuMemoryGiB", node.gpu_memory_gib),
        ("memoryGiB", node.memory_gib),
        ("vcpus", node.vcpus),
        ("efaInterfaces", node.efa_interfaces),
        ("hugepages2Mi", HUGEPAGES_2MI if node.gpu_direct else None),
    ]
    held = tuple(Entry(key, value) for key, value in pairs if value is not None)
    return (Entry("instance", held, f"One node, from {_origin(endpoint)} in dpd's table of instance types."),)


def _origin(endpoint: Endpoint) -> str:
    types = endpoint.instance_types
    if len(types) > 1:
        return f"what {', '.join(types)} all offer at least"
    return f"instanceType {types[0]}" if "instanceType" in endpoint.spec else f"instance type {types[0]}"
