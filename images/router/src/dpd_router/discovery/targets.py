"""What discovery is told to look for, and what all its ways have in common."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dpd_router.pool import Address, Pool, Role


@dataclass(frozen=True, slots=True)
class Target:
    """A configured pool entry; its ports hold for each worker that is found by it.

    `host` is looked up in DNS or taken as it is; `selector` is a Kubernetes label selector of pods.
    """

    role: Role
    host: str
    port: int
    init_ports: tuple[int, ...] = ()
    alloc_ports: tuple[int, ...] = ()
    selector: str = ""

    def at(self, host: str, *, uid: str = "", revision: str | None = None) -> Address:
        """Return the address of a worker that was found."""
        return Address(self.role, host, self.port, self.init_ports, self.alloc_ports, uid=uid, revision=revision)


@dataclass(frozen=True, slots=True)
class Api:
    """Where the API server is, and how the router shows who it is. The files are read anew each time: they rotate."""

    server: str
    token_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Lookup:
    """How workers are found. `interval`, in seconds, is DNS's; `namespace` and `api` are Kubernetes'."""

    mode: str
    interval: float
    namespace: str
    api: Api


class Discovery(Protocol):
    """Keeps the pool in step with what there is. `known` is set once it has looked everywhere."""

    known: asyncio.Event

    async def run(self) -> None:
        """Look, and keep looking for ever."""

    def heard(self) -> float | None:
        """Return when its source was last heard, on the loop's clock; None for never."""


@dataclass(slots=True)
class Roster:
    """Brings what one target has found into the pool, beside what the other targets of its role have."""

    pool: Pool
    tell: Callable[[str], None]
    _found: dict[Target, dict[Address, bool]] = field(default_factory=dict)

    def update(self, target: Target, found: dict[Address, bool]) -> None:
        """Make `found` the target's workers; the value says whether a worker takes requests or only ends its own."""
        before = self._found.get(target, {})
        self._found[target] = found
        together: dict[Address, bool] = {}
        for each, addresses in self._found.items():
            if each.role is target.role:
                together.update(addresses)
        self.pool.sync(target.role, set(together), {address for address, serving in together.items() if not serving})
        for address in sorted((*(found.keys() - before), *(before.keys() - found)), key=str):
            self._note("found" if address in found else "gone", address)
        changed = (address for address, serving in found.items() if before.get(address, serving) != serving)
        for address in sorted(changed, key=str):
            self._note("back" if found[address] else "resting", address)

    def of(self, target: Target) -> set[Address]:
        """Return the workers a target is known to have."""
        return set(self._found.get(target, ()))

    def _note(self, what: str, address: Address) -> None:
        identity = f" uid={address.uid} revision={address.revision or '-'}" if address.uid else ""
        self.tell(f"worker {what}: role={address.role} address={address.host}:{address.port}{identity}")
