"""Which workers there are: one file for each way of finding out, one interface."""

from collections.abc import Callable

from dpd_router.discovery.dns import DnsDiscovery
from dpd_router.discovery.static import StaticDiscovery
from dpd_router.discovery.targets import Api, Discovery, Lookup, Roster, Target
from dpd_router.pool import Pool

__all__ = ["Api", "Discovery", "Lookup", "Roster", "Target", "discovery_of"]


def discovery_of(lookup: Lookup, targets: tuple[Target, ...], pool: Pool, tell: Callable[[str], None]) -> Discovery:
    """Return what the configuration asks for."""
    roster = Roster(pool, tell)
    if lookup.mode == "static":
        return StaticDiscovery(roster, targets)
    if lookup.mode == "dns":
        return DnsDiscovery(roster, targets, lookup.interval)
    from dpd_router.discovery.kubernetes import KubernetesDiscovery  # what only it needs takes 8 MB

    return KubernetesDiscovery(roster, targets, lookup.api, lookup.namespace, tell)
