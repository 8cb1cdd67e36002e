"""One engine behind uvicorn: started, served, and ended without leaving a task or a socket."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import uvicorn

from dpd_sim.build import Parts, build
from dpd_sim.http.admin import Admin
from dpd_sim.http.app import application
from dpd_sim.log import Log
from dpd_sim.settings import Settings, check

KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@dataclass(frozen=True, slots=True)
class Running:
    """A served engine and the address it listens on; `cut` breaks every connection off, as a killed process does."""

    parts: Parts
    host: str
    port: int
    cut: Callable[[], None]


@contextlib.asynccontextmanager
async def running(settings: Settings, log: Log, bound: socket.socket | None = None) -> AsyncIterator[Running]:
    """Serve an engine for the time of a `with`; `bound` is a listening address to use instead of --host and --port.

    Raises SettingsError when vLLM would refuse to start, OSError when the port is taken.
    """
    check(settings)
    with contextlib.closing(bound or _bind(settings.flags.host, settings.flags.port)) as sock:
        parts = await build(settings, log)
        engine_task = asyncio.create_task(parts.engine.run())
        server = _Server(_config(settings, parts))
        server_task = asyncio.create_task(server.serve(sockets=[sock]))
        host, port = sock.getsockname()[:2]
        try:
            while not server.started and not server_task.done():  # noqa: ASYNC110 - uvicorn offers a flag, no event
                await asyncio.sleep(0.005)
            yield Running(parts, host, port, lambda: _cut(server))
        finally:
            engine_task.cancel()
            parts.engine.stop()
            await asyncio.gather(engine_task, return_exceptions=True)
            server.should_exit = True
            await server_task
            await parts.engine.connector.close()
            # What was accepted as the server closed is nobody's, and would be answered for ever.
            await asyncio.sleep(0)
            _cut(server)
            if parts.publisher is not None:
                await parts.publisher.close()


def _cut(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        if connection.transport is not None:
            connection.transport.abort()


def _config(settings: Settings, parts: Parts) -> uvicorn.Config:
    return uvicorn.Config(
        application(settings, parts, Admin(parts), int(time.time())),
        lifespan="off",
        log_config=None,
        access_log=not settings.flags.disable_uvicorn_access_log,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _bind(host: str | None, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in (host or "") else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host or "0.0.0.0", port))  # noqa: S104 - what vllm serve does without --host
    except OSError:
        sock.close()
        raise
    return sock
