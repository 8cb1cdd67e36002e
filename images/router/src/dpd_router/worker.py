"""A worker as the router sees it: where it is, what it is doing, and how much of its buffer is spoken for."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from dpd_router.drift import Drift
from dpd_router.ejection import Suspicion
from dpd_router.ledger import Buffers, Ledger
from dpd_router.types import Receiver


class Role(StrEnum):
    """What a worker is for."""

    PREFILL = "prefill"
    DECODE = "decode"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Address:
    """One resolved worker of a role; the ports are those of its transfer ranks, empty when it receives nothing.

    `revision` names what prefillers and decoders must have in common, such as model and arguments; None when unknown.
    `uid` names the life of what runs there, where discovery knows it: another uid is another worker.
    """

    role: Role
    host: str
    port: int
    init_ports: tuple[int, ...] = ()
    alloc_ports: tuple[int, ...] = ()
    revision: str | None = None
    uid: str = ""

    def __hash__(self) -> int:
        """Hash what tells workers apart: with a thousand of them, every change asks for it thousands of times."""
        return hash((self.host, self.port, self.uid))

    def pairs_with(self, other: "Address") -> bool:
        """Say whether KV may pass between the two: never between revisions. One that is unknown goes with any."""
        return self.revision is None or other.revision is None or self.revision == other.revision


@dataclass(slots=True, eq=False)
class Worker:
    """One engine as the router sees it. `up`: it answers; `resting`: it is to end what it has, and be given no more.

    `name` is the address as `host:port`. `tokens` are those of its prompts that it may still have to compute; `silent`:
    its notice of a transfer failed to come the last time; `late` are its prefills that take longer than they may.
    """

    address: Address
    up: bool = False
    resting: bool = False
    in_flight: int = 0
    tokens: int = 0
    last_used: int = 0
    generation: int = 0
    ledger: Ledger = field(default_factory=lambda: Ledger(Buffers()))
    drift: Drift = field(default_factory=lambda: Drift(Buffers().window))
    silent: bool = False
    late: int = 0
    suspicion: Suspicion = field(default_factory=Suspicion)
    doubted: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        host = self.address.host
        self.name = f"[{host}]:{self.address.port}" if ":" in host else f"{host}:{self.address.port}"

    @property
    def busy(self) -> bool:
        """Say whether something is under way there, or spoken for."""
        return self.in_flight > 0 or self.ledger.used > 0

    @property
    def receiver(self) -> Receiver:
        """Return where a prefiller writes to."""
        return Receiver(self.address.host, self.address.init_ports, self.address.alloc_ports)


class Watcher(Protocol):
    """Who is told of a role's workers as they come, go and work."""

    def joined(self, worker: Worker) -> None:
        """Note a worker that takes requests from now on."""

    def left(self, worker: Worker) -> None:
        """Note a worker that takes no more."""

    def touched(self, worker: Worker) -> None:
        """Note that a worker's load or its last turn has changed."""
