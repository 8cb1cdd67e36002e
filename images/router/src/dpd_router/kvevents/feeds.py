"""A feed for every worker that takes requests: begun when it joins, ended when it leaves."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import zmq.asyncio

from dpd_router.kvevents.feed import Feed, Heard
from dpd_router.pool import Worker
from dpd_router.strategies.kvindex import Index

_SOCKETS = 65536


@dataclass(frozen=True, slots=True)
class Ports:
    """Where an engine publishes its events, and where it repeats them."""

    events: int
    replay: int


def new_context() -> zmq.asyncio.Context:
    """Return a context with room for a socket or two for each of very many workers."""
    context = zmq.asyncio.Context()
    context.set(zmq.MAX_SOCKETS, _SOCKETS)
    return context


@dataclass(slots=True)
class Feeds:
    """Watches a role's workers in the pool. `own` has the ports of workers, by name, that differ from the others'."""

    index: Index[Worker]
    ports: Ports
    own: Mapping[str, Ports]
    seconds: float
    tell: Callable[[str], None]
    heard: Heard = field(default_factory=Heard)
    context: zmq.asyncio.Context = field(default_factory=new_context)
    _tasks: dict[Worker, asyncio.Task[None]] = field(default_factory=dict)

    def joined(self, worker: Worker) -> None:
        """Begin to follow a worker; must be called inside a running loop."""
        ports = self.own.get(worker.name, self.ports)
        host = worker.address.host
        host = f"[{host}]" if ":" in host else host
        addresses = f"tcp://{host}:{ports.events}", f"tcp://{host}:{ports.replay}"
        feed = Feed(worker, *addresses, self.index, self.context, self.heard, self.seconds, self.tell)
        self._tasks[worker] = asyncio.get_running_loop().create_task(feed.run())

    def left(self, worker: Worker) -> None:
        """Follow a worker no more; its blocks are the strategy's to forget."""
        task = self._tasks.pop(worker, None)
        if task is not None:
            task.cancel()

    def touched(self, worker: Worker) -> None:
        """Pass over what plays no part."""

    async def close(self) -> None:
        """Follow nobody any more."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self.context.destroy(0)
