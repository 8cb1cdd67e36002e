"""The workers: who is there, who is well, what each is doing, and how much of each decoder's buffer is spoken for.

This is the router's only state that changes. A worker is one address; when it fails and comes back it is another
worker as far as transfers go, because what it wrote before cannot be trusted: hence the generation in its tag.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from dpd_router.ledger import Ledger
from dpd_router.types import Outlook, Receiver


class Role(StrEnum):
    """What a worker is for."""

    PREFILL = "prefill"
    DECODE = "decode"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Address:
    """One resolved worker of a role; the ports are those of its transfer ranks, empty when it receives nothing.

    `revision` names what prefillers and decoders must have in common, such as model and arguments; None when unknown.
    """

    role: Role
    host: str
    port: int
    init_ports: tuple[int, ...] = ()
    alloc_ports: tuple[int, ...] = ()
    revision: str | None = None

    def pairs_with(self, other: "Address") -> bool:
        """Say whether KV may pass between the two: never between revisions. One that is unknown goes with any."""
        return self.revision is None or other.revision is None or self.revision == other.revision


@dataclass(slots=True, eq=False)
class Worker:
    """One engine as the router sees it."""

    address: Address
    up: bool = False
    in_flight: int = 0
    last_used: int = 0
    generation: int = 0
    ledger: Ledger = field(default_factory=lambda: Ledger(None))

    @property
    def name(self) -> str:
        """Return the address as `host:port`."""
        host = self.address.host
        return f"[{host}]:{self.address.port}" if ":" in host else f"{host}:{self.address.port}"

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


class Pool:
    """All workers. `nonce` sets this router's tags apart from those of its earlier lives."""

    def __init__(self, nonce: str, pages_per_decoder: int | None = None) -> None:
        self._nonce = nonce
        self._capacity = pages_per_decoder
        self._turn = 0
        self._workers: dict[Address, Worker] = {}
        self._ready: dict[Role, dict[Address, Worker]] = {role: {} for role in Role}
        self._watchers: dict[Role, list[Watcher]] = {role: [] for role in Role}

    def watch(self, role: Role, watcher: Watcher) -> None:
        """Tell `watcher` of every change among a role's workers, beginning with those that are there."""
        self._watchers[role].append(watcher)
        for worker in self.ready(role):
            watcher.joined(worker)

    def sync(self, role: Role, addresses: set[Address]) -> None:
        """Make `addresses` the workers of a role: new ones start unproven, those gone take no more requests."""
        for address in [each for each in self._workers if each.role is role and each not in addresses]:
            self._set(self._workers.pop(address), up=False)
        for address in sorted(addresses, key=lambda each: (each.host, each.port)):
            if address not in self._workers:
                self._workers[address] = Worker(address, ledger=Ledger(self._capacity))

    def all(self) -> list[Worker]:
        """Return every worker, well or not."""
        return list(self._workers.values())

    def ready(self, role: Role) -> list[Worker]:
        """Return the workers of a role that take requests."""
        return list(self._ready[role].values())

    def outlook(self) -> Outlook:
        """Return what `route` needs to know of the pools."""
        colocated = not any(each.role is not Role.WORKER for each in self._workers)
        return Outlook(
            colocated=colocated,
            prefillers=len(self._ready[Role.PREFILL]),
            decoders=len(self._ready[Role.WORKER if colocated else Role.DECODE]),
            capacity=self._capacity,
        )

    def mark_up(self, worker: Worker) -> None:
        """Let a worker take requests; its address must still be there."""
        self._set(worker, up=self._workers.get(worker.address) is worker)

    def mark_down(self, worker: Worker) -> None:
        """Give a worker no more requests until it is well again, and then under a new tag."""
        if worker.up:
            self._set(worker, up=False)
            worker.generation += 1

    def distrust(self, worker: Worker) -> None:
        """Change a prefiller's tag: what it wrote under the old one may be half written."""
        worker.generation += 1

    def tag(self, worker: Worker) -> str:
        """Return the tag of a prefiller's pages; it holds no `@`, which would break the engines' keys."""
        return f"{worker.name}/{self._nonce}.{worker.generation}".replace("@", "_")

    @contextmanager
    def flight(self, worker: Worker) -> Iterator[Worker]:
        """Count a request in for as long as the block runs."""
        self._turn += 1
        worker.last_used = self._turn
        worker.in_flight += 1
        self._touch(worker)
        try:
            yield worker
        finally:
            worker.in_flight -= 1
            self._touch(worker)

    def _touch(self, worker: Worker) -> None:
        for watcher in self._watchers[worker.address.role]:
            watcher.touched(worker)

    def _set(self, worker: Worker, *, up: bool) -> None:
        """Let a worker in or out, and tell who watches; whoever is up is among the ready, and nobody else."""
        if worker.up == up:
            return
        worker.up = up
        role = worker.address.role
        if up:
            self._ready[role][worker.address] = worker
        else:
            del self._ready[role][worker.address]
        for watcher in self._watchers[role]:
            (watcher.joined if up else watcher.left)(worker)
