"""Which workers there are: every address a configured host resolves to, looked up again every few seconds."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.pool import Address, Pool, Role


@dataclass(frozen=True, slots=True)
class Target:
    """A configured pool entry; its ports hold for each address of its host."""

    role: Role
    host: str
    port: int
    init_ports: tuple[int, ...] = ()
    alloc_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """Keeps the pool in step with DNS. A name that does not resolve now changes nothing: health decides who is well."""

    pool: Pool
    targets: tuple[Target, ...]
    interval: float
    tell: Callable[[str], None]

    async def run(self) -> None:
        """Look up for ever."""
        while True:
            await asyncio.sleep(self.interval)
            await self.round()

    async def round(self) -> None:
        """Look up every host once."""
        known = {worker.address for worker in self.pool.all()}
        for role in {target.role for target in self.targets}:
            found: set[Address] = set()
            for target in (each for each in self.targets if each.role is role):
                addresses = await self._resolve(target)
                found |= {each for each in known if _of(each, target)} if addresses is None else addresses
            self.pool.sync(role, found)
            for address in sorted(found - known, key=str):
                self.tell(f"worker found: role={role} address={address.host}:{address.port}")

    async def _resolve(self, target: Target) -> set[Address] | None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC
            )
        except OSError:
            return None
        return {
            Address(target.role, str(sockaddr[0]), target.port, target.init_ports, target.alloc_ports)
            for *_, sockaddr in found
        }


def _of(address: Address, target: Target) -> bool:
    """Say whether an address may have come from a target: same role and ports."""
    return (address.role, address.port, address.init_ports, address.alloc_ports) == (
        target.role,
        target.port,
        target.init_ports,
        target.alloc_ports,
    )
