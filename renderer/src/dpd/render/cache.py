"""kvCacheSpec → the size of the L1 cache of each rank."""

from decimal import Decimal

from dpd.endpoint import Endpoint, Role
from dpd.instances import Instance
from dpd.render.instance import facts
from dpd.sizing import gib, l1_gib_per_rank, share_of_node
from dpd.yamlout import Entry


def entries(endpoint: Endpoint) -> tuple[Entry, ...]:
    """Return the cache entry when the L1 cache is on and the memory of its pods can be told, else nothing."""
    spec = endpoint.part("kvCacheSpec")
    if spec.get("cacheConfigFile") or not spec.get("enableL1Cache", "kvCacheSpec" in endpoint.spec):
        return ()
    keeper = next((role for role in endpoint.roles if role.name != "decode"), None)
    sized = _pod_memory(keeper, facts(endpoint)) if keeper else None
    if keeper is None or sized is None:
        return ()
    memory, origin = sized
    size = l1_gib_per_rank(memory, keeper.ranks)
    ranks = f"{keeper.ranks} rank{'s' if keeper.ranks > 1 else ''}"
    comment = f"25 % of {gib(memory)} ({origin}), over {ranks}, rounded down."
    return (Entry("cache", (Entry("l1GiBPerRank", size, comment),)),)


def _pod_memory(role: Role, node: Instance | None) -> tuple[Decimal, str] | None:
    if role.memory is not None:
        return role.memory, f"memory of a {role.name} pod"
    if node is None or not node.gpus:
        return None
    gpus = role.gpus or node.gpus
    share = share_of_node(node.memory_gib, gpus, node.gpus)
    return share, f"{gpus} of {node.gpus} GPUs' share of the node's {node.memory_gib} GiB"
