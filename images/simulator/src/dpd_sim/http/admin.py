"""/sim: what tests and exercises ask to go wrong. Mounted only with DPD_SIM_ADMIN=1."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dpd_sim.build import Parts
from dpd_sim.http.errors import ApiError

Row = tuple[str, list[str], Callable[[Request], Awaitable[Response]]]


class Admin:
    """Faults of one engine and of its HTTP surface."""

    def __init__(self, parts: Parts):
        self._parts = parts
        self._errors: list[int] = []
        self._delays: list[float] = []

    def rows(self) -> list[Row]:
        """Routes of the fault surface."""
        return [
            ("/sim/state", ["GET"], self.state),
            ("/sim/kill", ["POST"], self.kill),
            ("/sim/hang", ["POST"], self.hang),
            ("/sim/resume", ["POST"], self.resume),
            ("/sim/errors", ["POST"], self.errors),
            ("/sim/delay", ["POST"], self.delay),
            ("/sim/fail-loads", ["POST"], self.fail_loads),
            ("/sim/lose-events", ["POST"], self.lose_events),
            ("/sim/reset-prefix-cache", ["POST"], self.reset_prefix_cache),
        ]

    async def disturb(self) -> None:
        """Delay or refuse a generation request when that was asked for. Raises ApiError."""
        if self._delays:
            await asyncio.sleep(self._delays.pop(0))
        if self._errors:
            raise ApiError("an error that was asked for", self._errors.pop(0))

    async def state(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        """Pages and requests, exactly and now."""
        parts = self._parts
        pages = [
            {
                "rank": rank,
                "capacity": r.buffer.capacity,
                "used": r.buffer.used,
                "indexed": r.buffer.indexed,
                "spins": r.full_spins,
            }
            for rank, r in enumerate(parts.receivers)
        ]
        scheduler = parts.engine.scheduler
        return JSONResponse(
            {
                "dead": parts.engine.dead,
                "running": len(scheduler.running),
                "waiting": len(scheduler.waiting),
                "blocks_free": scheduler.pool.free,
                "blocks_total": scheduler.pool.total,
                "lmcache_healthy": parts.healthy,
                "pages": pages,
            }
        )

    async def kill(self, request: Request) -> Response:
        """The engine core dies: {"reason": text}."""
        self._parts.engine.faults.kill = str((await _body(request)).get("reason", "killed"))
        self._parts.engine.kick()
        return JSONResponse({})

    async def hang(self, request: Request) -> Response:  # noqa: ARG002
        """The engine core stops between two steps until resumed."""
        if self._parts.engine.faults.hang is None:
            self._parts.engine.faults.hang = asyncio.Event()
        self._parts.engine.kick()
        return JSONResponse({})

    async def resume(self, request: Request) -> Response:  # noqa: ARG002
        """The engine core goes on."""
        faults = self._parts.engine.faults
        hung, faults.hang = faults.hang, None
        if hung is not None:
            hung.set()
        return JSONResponse({})

    async def errors(self, request: Request) -> Response:
        """The next requests get a status: {"count": 1, "status": 500}; with {"count": 0} none does any more."""
        body = await _body(request)
        count = int(body.get("count", 1))
        self._errors = self._errors + [int(body.get("status", 500))] * count if count else []
        return JSONResponse({})

    async def delay(self, request: Request) -> Response:
        """The next requests wait first, or every step takes longer: {"count": 1, "seconds": 1} or {"step": 0.5}."""
        body = await _body(request)
        if "step" in body:
            self._parts.engine.faults.delay = float(body["step"])
        else:
            self._delays += [float(body.get("seconds", 1))] * int(body.get("count", 1))
        return JSONResponse({})

    async def fail_loads(self, request: Request) -> Response:
        """The next loads of KV fail: {"count": 1}."""
        self._parts.engine.faults.fail_loads += int((await _body(request)).get("count", 1))
        return JSONResponse({})

    async def lose_events(self, request: Request) -> Response:
        """The next batches of KV events reach nobody: {"count": 1}; with "forget" none so far can be repeated."""
        body = await _body(request)
        if self._parts.publisher is not None:
            self._parts.publisher.lose(int(body.get("count", 1)), bool(body.get("forget", False)))
        return JSONResponse({})

    async def reset_prefix_cache(self, request: Request) -> Response:  # noqa: ARG002
        """The prefix cache is emptied, unless it is in use."""
        scheduler = self._parts.engine.scheduler
        done = scheduler.pool.clear()
        if done:
            scheduler.events.cleared()
            if self._parts.publisher is not None:
                self._parts.publisher.publish(scheduler.events.take())
        return JSONResponse({"done": done})


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    body: dict[str, Any] = await request.json()
    return body
