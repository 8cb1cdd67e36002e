"""First stop: what was gathered of an endpoint. Plain data; everything that could not be asked is None or empty."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFILL, DECODE, WORKER, ROUTER = "prefill", "decode", "worker", "router"


@dataclass(frozen=True)
class Container:
    """One container of a pod; `waiting` is the reason it does not run for, and `said` what was said about it."""

    name: str
    ready: bool = True
    waiting: str = ""
    said: str = ""


@dataclass(frozen=True)
class Pod:
    """One pod, or the process in its stead.

    `address` is host:port as the router writes it; `health` the HTTP status of /health, 0 for no answer, None for not
    asked; `metrics` the text of /metrics, empty for no answer, None for not asked; `unscheduled` what the scheduler
    says while it has no node; `events` are "Reason: message".
    """

    name: str
    role: str
    address: str = ""
    containers: tuple[Container, ...] = ()
    unscheduled: str = ""
    events: tuple[str, ...] = ()
    image: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    cache: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""
    health: int | None = None
    metrics: str | None = None


@dataclass(frozen=True)
class Facts:
    """One endpoint: its pods, the router's settings, the roles it must have, and what its controller says of it.

    `probes` are the faults that sending prompts showed; None when none was sent.
    """

    endpoint: str
    pods: tuple[Pod, ...]
    roles: tuple[str, ...] = ()
    router: Mapping[str, Any] = field(default_factory=dict)
    collected: bool | None = None
    said: tuple[str, ...] = ()
    probes: tuple[str, ...] | None = None

    def of(self, *roles: str) -> tuple[Pod, ...]:
        """Return the pods of some roles."""
        return tuple(each for each in self.pods if each.role in roles)

    @property
    def engines(self) -> tuple[Pod, ...]:
        """Return all pods with an engine."""
        return self.of(PREFILL, DECODE, WORKER)

    @property
    def unasked(self) -> tuple[str, ...]:
        """Return the names of pods of which /health or /metrics could not be asked: nothing was seen there."""
        return tuple(each.name for each in self.pods if each.health is None or each.metrics is None)

    @property
    def threshold(self) -> int:
        """Return the routing threshold, 0 without one."""
        return int(self.router.get("routing", {}).get("threshold") or 0)

    @property
    def strategy(self) -> str:
        """Return the routing strategy, empty without a router."""
        return str(self.router.get("routing", {}).get("strategy") or "")

    @property
    def takes_tls_only(self) -> bool:
        """Return whether the router refuses plain HTTP of its clients."""
        return bool(self.router.get("tls", {}).get("mode") == "strict")

    @property
    def asks_for_keys(self) -> bool:
        """Return whether the router wants an API key of its clients."""
        return "auth" in self.router
