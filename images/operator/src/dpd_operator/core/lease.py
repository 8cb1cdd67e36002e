"""Who leads: decisions over a Lease, without clocks.

Whoever holds the Lease acts. The holder renews it well before it ends and stops acting *before* the others may take it;
the others count its time from when they themselves saw it change, so that clocks need not agree.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dpd_operator.core.objects import Tree

DURATION_SECONDS = 15.0
# The holder gives up after this long without an answer; the rest of the duration is the margin.
GIVE_UP_SECONDS = 10.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease as somebody saw it, and the instant (of a monotonic clock, in seconds) when it last changed."""

    version: str
    since: float


def sighted(lease: Tree, before: Sighting | None, now: float) -> Sighting:
    """Return when the lease last changed, as far as we saw."""
    version = lease["metadata"]["resourceVersion"]
    return before if before is not None and before.version == version else Sighting(version, now)


def may_take(lease: Tree, identity: str, seen: Sighting, now: float) -> bool:
    """Whether `identity` may write its name into the lease: it is free, ours already, or has run out."""
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    duration = float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)
    return holder in ("", identity) or now - seen.since > duration


def taken(lease: Tree, identity: str, now: datetime) -> dict[str, Any]:
    """Return the lease as `identity` holds it; its resourceVersion stays, so that only one of two writers succeeds."""
    spec = dict(lease.get("spec") or {})
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if spec.get("holderIdentity") != identity:
        spec |= {"acquireTime": stamp, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
    spec |= {"holderIdentity": identity, "leaseDurationSeconds": int(DURATION_SECONDS), "renewTime": stamp}
    return {**lease, "spec": spec}


def released(lease: Tree) -> dict[str, Any]:
    """Return the lease as nobody's, so that the next one need not wait for its end."""
    return {**lease, "spec": {**(lease.get("spec") or {}), "holderIdentity": "", "leaseDurationSeconds": 1}}
