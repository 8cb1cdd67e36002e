"""The router's side to the world: who is let in, and what that is decided by, kept as it is on disk."""

import asyncio
import time
from dataclasses import dataclass

from dpd_router.api import Routes
from dpd_router.auth import Gate, KeyStore
from dpd_router.auth.gate import Rates
from dpd_router.config.surface import Surface
from dpd_router.logs import Log


@dataclass(frozen=True, slots=True)
class Front:
    """`keys` is None when the router asks for none."""

    surface: Surface
    gate: Gate
    keys: KeyStore | None

    def open(self) -> None:
        """Read what is on disk for the first time."""
        if self.keys is not None:
            self.keys.reload()

    async def run(self) -> None:
        """Read it again and again, for as long as the router runs."""
        while True:
            await asyncio.sleep(self.surface.auth.reload_seconds)
            self.open()


def front(surface: Surface, routes: Routes, log: Log) -> Front:
    """Put the front together."""
    auth = surface.auth
    keys = KeyStore(auth.folder, log.info, log.warning) if auth.folder else None
    rates = Rates(auth.rate, auth.rates)
    gate = Gate(routes, (lambda: keys.keyring) if keys else None, time.monotonic, rates, forward=auth.forward)
    return Front(surface, gate, keys)
