"""Which workers there are, by DNS: every address a configured host resolves to, looked up again every few seconds.

DNS says neither when a pod began nor whether it is about to leave, and it is cached: what it is late with is left to
health.
"""

import asyncio
import socket
from dataclasses import dataclass, field

from dpd_router.discovery.targets import Roster, Target
from dpd_router.pool import Address


@dataclass(slots=True)
class DnsDiscovery:
    """Keeps the pool in step with DNS. A name that does not resolve now changes nothing: health decides who is well."""

    roster: Roster
    targets: tuple[Target, ...]
    interval: float
    known: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: float | None = None

    async def run(self) -> None:
        """Look up for ever."""
        while True:
            await self.round()
            self.known.set()
            await asyncio.sleep(self.interval)

    async def round(self) -> None:
        """Look up every host once."""
        for target in self.targets:
            addresses = await self._resolve(target)
            if addresses is not None:
                self._heard = asyncio.get_running_loop().time()
                self.roster.update(target, self._with_busy(target, addresses))

    def heard(self) -> float | None:
        """Return when a name was last resolved."""
        return self._heard

    def _with_busy(self, target: Target, addresses: set[Address]) -> dict[Address, bool]:
        """Keep workers that DNS has dropped while they have work: they may be back, and their pages are taken."""
        gone = self.roster.of(target) - addresses
        busy = {worker.address for worker in self.roster.pool.all() if worker.busy}
        return {**dict.fromkeys(gone & busy, False), **dict.fromkeys(addresses, True)}

    async def _resolve(self, target: Target) -> set[Address] | None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC
            )
        except OSError:
            return None
        return {target.at(str(sockaddr[0])) for *_, sockaddr in found}
