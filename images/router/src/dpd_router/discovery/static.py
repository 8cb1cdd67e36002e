"""Workers as the configuration names them: each host is one worker, whatever its name resolves to at the moment."""

import asyncio
from dataclasses import dataclass, field

from dpd_router.discovery.targets import Roster, Target


@dataclass(slots=True)
class StaticDiscovery:
    """Takes every target for a worker; health alone decides which are there."""

    roster: Roster
    targets: tuple[Target, ...]
    known: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Put every target into the pool; nothing ever changes."""
        for target in self.targets:
            self.roster.update(target, {target.at(target.host): True})
        self.known.set()

    def heard(self) -> float:
        """Return now: what is written down does not age."""
        return asyncio.get_running_loop().time()
