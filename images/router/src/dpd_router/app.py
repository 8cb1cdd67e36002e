"""What is served where: generation goes down the path, the rest is answered here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from dpd_router.access import AccessLog
from dpd_router.api import Kind, Routes, Served
from dpd_router.api.routes import METRICS, MODELS, OPENAPI
from dpd_router.errors import (
    ConnectFailedError,
    LegDiedError,
    MethodNotAllowedError,
    NotFoundError,
    RouterError,
    UnavailableError,
)
from dpd_router.fastpath import FastPath
from dpd_router.metrics import CONTENT_TYPE, Metrics
from dpd_router.path import Path
from dpd_router.pool import Pool, Role
from dpd_router.sagemaker.api import Runtime
from dpd_router.seams import Collects
from dpd_router.strategies import leastload
from dpd_router.types import Call, Policy, Reply
from dpd_router.wire.downstream import Serve
from dpd_router.wire.exchange import Answering, Exchange

_JSON = (b"content-type", b"application/json")
_ON_THE_PATH = (Kind.PATH, Kind.RELAY)
Handler = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class App:
    """Answers exchanges. `trouble` says why no client is served, None when they are; `openapi` is its description."""

    routes: Routes
    openapi: bytes
    policy: Policy
    path: Path[Answering]
    runtime: Runtime
    pool: Pool
    legs: Collects
    metrics: Metrics
    trouble: Callable[[], str | None]
    tell_error: Callable[[str], None]
    access: AccessLog
    fast: FastPath | None = None

    @property
    def begin(self) -> Serve:
        """What answers one exchange: the fast path where there is one, and `serve` what that does not take."""
        return self.serve if self.fast is None else partial(self.fast.begin, self.serve)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one exchange, whatever happens."""
        try:
            ask = exchange.ask
            row = self._row(exchange)
            if row.kind is Kind.INVOKE:
                await self.runtime.serve(exchange)
            elif row.kind in _ON_THE_PATH:
                await self.path.serve(ask, exchange)
            else:
                await self._own(row)(exchange)
                self.metrics.count(ask.path, exchange.status)
        except RouterError as error:
            self._refuse(exchange, error)
        except Exception as error:  # noqa: BLE001 - the last line of defence: one request, not the router
            self.tell_error(f"request {exchange.ask.request_id} failed in the router: {error!r}")
            self._refuse(exchange, RouterError("The router failed on this request.", code="internal_error"))
        if exchange.ask.caller:
            self.metrics.count_caller(exchange.ask.caller, exchange.status)

    def turned_away(self, error: RouterError) -> None:
        """Count and log a request that was answered before it could be read."""
        self.metrics.count("", error.status)
        self.access.refused(None, error)

    def _refuse(self, exchange: Exchange, error: RouterError) -> None:
        exchange.refuse(error)
        self.metrics.count(exchange.ask.path, exchange.status)
        self.access.refused(exchange.ask, error, exchange.status)

    def _row(self, exchange: Exchange) -> Served:
        """Return what is served at a request's path. Raises RouterError when the request may not have it."""
        path, method = exchange.ask.path, exchange.ask.method
        row = self.routes.find(path)
        if row is not None and row.kind is Kind.INVOKE:
            return row  # refuses in words of its own
        if exchange.refusal is not None:
            raise exchange.refusal
        if row is None:
            raise NotFoundError(f"Nothing is served at {path}.")
        if method not in row.methods:
            raise MethodNotAllowedError(f"{path} takes {row.methods[0]}, not {method}.", allow=row.methods)
        return row

    def _own(self, row: Served) -> Handler:
        return {MODELS: self._models, METRICS: self._metrics, OPENAPI: self._openapi}.get(row.path, self._health)

    async def _models(self, exchange: Exchange) -> None:
        ask = exchange.ask
        for worker in leastload([*self.pool.ready(Role.DECODE), *self.pool.ready(Role.WORKER)]):
            try:
                call = Call("GET", MODELS + ask.query, ask.headers, b"")
                exchange.answer(await self.legs.collect(worker, call, ask.request_id))
            except ConnectFailedError:
                self.pool.mark_down(worker)
                continue
            except LegDiedError:
                continue  # reading a list twice does no harm
            self.access.fetched(ask, exchange.status, exchange.bytes_out, worker.name)
            return
        raise UnavailableError("No worker can answer now; try again later.", retry_after=self.policy.retry_after)

    async def _health(self, exchange: Exchange) -> None:
        """Well means: a prompt can be answered. Without prefillers decoders prefill themselves."""
        ready = {role.value: len(self.pool.ready(role)) for role in Role}
        answering = ready[Role.DECODE] + ready[Role.WORKER]
        why = self.trouble() or (None if answering else "no decoder or worker is healthy")
        body = msgspec.json.encode({"status": "ok" if why is None else "unavailable", "why": why, "healthy": ready})
        exchange.answer(Reply(200 if why is None else 503, [_JSON], body))

    async def _metrics(self, exchange: Exchange) -> None:
        exchange.answer(Reply(200, [(b"content-type", CONTENT_TYPE)], self.metrics.text()))

    async def _openapi(self, exchange: Exchange) -> None:
        exchange.answer(Reply(200, [_JSON], self.openapi))
