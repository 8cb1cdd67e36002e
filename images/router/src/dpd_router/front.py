"""The router's side to the world: where it listens, who is let in, and by what, as it is on disk."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from dpd_router.api import Routes
from dpd_router.app import App
from dpd_router.ask import Admission
from dpd_router.auth import Gate, KeyStore
from dpd_router.auth.gate import Rates
from dpd_router.config import Config
from dpd_router.config.tls import Mode
from dpd_router.errors import BadRequestError
from dpd_router.logs import Log
from dpd_router.tls import Certificates, Listener
from dpd_router.types import Headers
from dpd_router.wire.callbacks import callbacks
from dpd_router.wire.downstream import Doors, Downstream
from dpd_router.wire.reader import Admit

_BACKLOG = 2048
_ONLY_TLS = "This port takes TLS only; use https."


@dataclass(slots=True)
class Front:
    """`keys` is None when the router asks for none, `certificates` when it speaks no TLS.

    `doors` are those of clients, `own` those of the metrics' port.
    """

    config: Config
    gate: Gate
    keys: KeyStore | None
    certificates: Certificates | None
    doors: Doors
    new_id: Callable[[], str]
    own: Doors = field(default_factory=Doors)
    metrics_port: int = 0
    _servers: list[asyncio.Server] = field(default_factory=list)
    _listener: Listener | None = None

    @property
    def trouble(self) -> str | None:
        """Say why no client can come in, None when they can."""
        if not self.doors.open:
            return "shutting down"
        strict = self.config.surface.tls.mode is Mode.STRICT
        return "no certificate" if strict and self.certificate is None else None

    @property
    def certificate(self) -> ssl.SSLContext | None:
        """The certificate that new connections get."""
        return self.certificates.context if self.certificates else None

    @property
    def unheard(self) -> int:
        """Count connections that have said nothing yet, or are in the middle of a handshake."""
        return self._listener.waiting if self._listener else 0

    async def open(self, app: App) -> int:
        """Listen, and return the port of clients. Raises OSError."""
        self._reload()
        config, tls = self.config, self.config.surface.tls
        make = partial(Downstream, app.begin, app.turned_away, config.limits, self.doors, self.new_id)
        certificates = self.certificates
        if certificates is None:
            port = await self._serve(lambda: make(self.gate.admit), config.host, config.port)
        else:
            plain: Admit = self.gate.admit if tls.mode is Mode.PERMISSIVE else _refuse_plain
            self._listener = listener = Listener(
                lambda: callbacks(make(self.gate.admit)),
                lambda: callbacks(make(plain)),
                lambda: certificates.context,
                (tls.handshake_seconds, config.limits.idle_seconds),
                lambda: config.limits.connections - len(self.doors.inside),
            )
            port = listener.open(config.host, config.port, _BACKLOG)
        if config.surface.metrics is not None:
            await self._open_metrics(app, config.surface.metrics.host, config.surface.metrics.port)
        return port

    async def _open_metrics(self, app: App, host: str, port: int) -> None:
        routes = Routes.of_metrics()
        served = replace(app, routes=routes, fast=None)
        admit = Gate(routes, None, time.monotonic, Rates(None, {})).admit
        make = partial(Downstream, served.begin, served.turned_away, self.config.limits, self.own, self.new_id, admit)
        self.metrics_port = await self._serve(make, host, port)

    async def _serve(self, make: Callable[[], Downstream], host: str, port: int) -> int:
        server = await asyncio.get_running_loop().create_server(lambda: callbacks(make()), host, port, backlog=_BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no more connections of clients; metrics are told on."""
        if self._listener is not None:
            self._listener.close()
        else:
            self._servers[0].close()

    async def closed(self) -> None:
        """Close what is left, the metrics' port included."""
        for server in self._servers:
            server.close()
        for connection in list(self.own.inside):
            connection.close()
        if self._listener is not None:
            self._listener.close()
            await self._listener.closed()

    async def run(self) -> None:
        """Read keys and certificates again and again, for as long as the router runs."""
        surface = self.config.surface
        while True:
            await asyncio.sleep(min(surface.auth.reload_seconds, surface.tls.reload_seconds))
            self._reload()

    def certificate_ends(self) -> float | None:
        """When the certificate that clients are shown does, as a Unix time; None without one."""
        return self.certificates.ends if self.certificates else None

    def expire(self, now: float) -> None:
        """End connections of clients that are silent, slow or do not read; to be called now and then."""
        for connection in [*self.doors.inside, *self.own.inside]:
            connection.expire(now)
        if self._listener is not None:
            self._listener.expire(now)

    def _reload(self) -> None:
        if self.keys is not None:
            self.keys.reload()
        if self.certificates is not None:
            self.certificates.reload()


def _refuse_plain(_path: str, headers: Headers) -> Admission:
    return Admission(headers, refusal=BadRequestError(_ONLY_TLS, code="tls_required"), body_bytes=0)


def front(config: Config, routes: Routes, doors: Doors, log: Log, new_id: Callable[[], str]) -> Front:
    """Put the front together."""
    auth, tls = config.surface.auth, config.surface.tls
    keys = KeyStore(auth.folder, log.info, log.warning) if auth.folder else None
    rates = Rates(auth.rate, auth.rates)
    gate = Gate(routes, (lambda: keys.keyring) if keys else None, time.monotonic, rates, forward=auth.forward)
    encrypted = tls.mode is not Mode.DISABLED
    certificates = Certificates(tls.certificate, tls.key, log.info, log.warning) if encrypted else None
    return Front(config, gate, keys, certificates, doors, new_id)
