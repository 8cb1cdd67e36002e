"""modelSourceConfig.prefetchEnabled → how much memory the model's copy may take in each worker pod."""

from decimal import Decimal
from math import floor

from dpd.endpoint import Endpoint, Role
from dpd.instances import Instance
from dpd.render.instance import facts
from dpd.sizing import GIB, gib, share_of_node
from dpd.yamlout import Entry

# A quarter is the L1 cache's; the engine, /dev/shm and buffers live in what is left.
_SHARE = Decimal("0.5")


def entries(endpoint: Endpoint) -> tuple[Entry, ...]:
    """Return the prefetch entry: the least that any role has room for; nothing when no role's room can be told."""
    on_disk = endpoint.part("modelCacheConfig", "weightsCache").get(
        "enabled", "weightsCache" in endpoint.part("modelCacheConfig")
    )
    if on_disk or not endpoint.part("modelSourceConfig").get("prefetchEnabled", False):
        return ()
    node = facts(endpoint)
    rooms = [room for role in endpoint.roles for room in _rooms(role, node)]
    if not rooms:
        return ()
    size, origin = min(rooms)
    comment = f"Of the model's copy in memory: {origin}, rounded down."
    return (Entry("prefetch", (Entry("sizeLimit", f"{max(1, floor(size / GIB))}Gi", comment),)),)


def _rooms(role: Role, node: Instance | None) -> list[tuple[Decimal, str]]:
    """Bytes and their origin: what the pod can spare, and what its GPUs could take up at all."""
    found: list[tuple[Decimal, str]] = []
    if role.memory is not None:
        found.append((role.memory * _SHARE, f"half of the {gib(role.memory)} of a {role.name} pod"))
    elif node is not None and node.gpus:
        gpus = role.gpus or node.gpus
        share = share_of_node(node.memory_gib, gpus, node.gpus)
        origin = f"half of {gpus} of {node.gpus} GPUs' share of the node's {node.memory_gib} GiB"
        found.append((share * _SHARE, origin))
    if node is not None and role.gpus:
        held = Decimal(node.gpu_memory_gib) * role.gpus * GIB
        found.append((held, f"what {role.gpus} GPUs of {node.gpu_memory_gib} GiB can take up"))
    return found
