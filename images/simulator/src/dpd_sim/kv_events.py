"""KV events on ZeroMQ, as vLLM publishes them: numbered batches to whoever listens, the latest repeated when asked for.

Frames of a batch: topic, number (eight bytes), msgpack `[time, events, rank]`. A repetition is asked for with its first
number, and ends with the number -1.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import zmq
import zmq.asyncio

_END = (-1).to_bytes(8, "big", signed=True)


@dataclass(frozen=True, slots=True)
class EventsConfig:
    """The fields of `--kv-events-config`."""

    enable_kv_cache_events: bool = False
    publisher: str | None = None
    endpoint: str = "tcp://*:5557"
    replay_endpoint: str | None = None
    buffer_steps: int = 10_000
    hwm: int = 100_000
    max_queue_size: int = 100_000
    topic: str = ""

    @property
    def publishes(self) -> bool:
        """Whether anything is told to anybody."""
        return self.enable_kv_cache_events and (self.publisher or "zmq") == "zmq"


def read(given: Mapping[str, Any] | None) -> EventsConfig:
    """Return the configuration in a flag. Raises ValueError for what vLLM refuses."""
    known = {each.name for each in fields(EventsConfig)}
    strange = sorted(set(given or {}) - known)
    if strange:
        raise ValueError(f"--kv-events-config: unexpected keyword {', '.join(strange)}")
    config = EventsConfig(**(given or {}))
    if config.publisher not in (None, "null", "zmq"):
        raise ValueError(f"--kv-events-config: publisher {config.publisher!r} is none of null, zmq")
    return config


class Publisher:
    """Publishes one engine's batches. Raises zmq.ZMQError when an address cannot be had."""

    def __init__(self, config: EventsConfig) -> None:
        self._config = config
        self._context = zmq.asyncio.Context()
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer: deque[tuple[int, bytes]] = deque(maxlen=config.buffer_steps)
        self._number = 0
        self._mute = 0
        self._events = self._bound(zmq.PUB, config.endpoint)
        self._task: asyncio.Task[None] | None = None
        if config.replay_endpoint:
            self._replay = self._bound(zmq.ROUTER, config.replay_endpoint)
            self._task = asyncio.get_running_loop().create_task(self._serve())

    def publish(self, events: list[list[Any]]) -> None:
        """Send a batch to whoever listens; nothing is waited for. Lost ones keep their number."""
        if not events:
            return
        payload = self._encoder.encode([time.time(), events, 0])
        number = self._number.to_bytes(8, "big")
        self._buffer.append((self._number, payload))
        self._number += 1
        if self._mute:
            self._mute -= 1
            return
        self._events.send_multipart([self._config.topic.encode(), number, payload], flags=zmq.NOBLOCK)

    def lose(self, count: int, forget: bool) -> None:
        """Send the next `count` batches to nobody; with `forget`, what was sent so far cannot be repeated either."""
        self._mute += count
        if forget:
            self._buffer.clear()

    async def close(self) -> None:
        """Free the addresses."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._context.destroy(0)

    async def _serve(self) -> None:
        while True:
            frames = await self._replay.recv_multipart()
            if len(frames) != 3:
                continue
            client, _, start = frames
            for number, payload in [each for each in self._buffer if each[0] >= int.from_bytes(start, "big")]:
                await self._replay.send_multipart([client, b"", number.to_bytes(8, "big"), payload])
            await self._replay.send_multipart([client, b"", _END, b""])

    def _bound(self, kind: int, endpoint: str) -> zmq.asyncio.Socket:
        socket: zmq.asyncio.Socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.set_hwm(self._config.hwm)
        if kind == zmq.PUB and "*" not in endpoint and "::" not in endpoint:
            socket.connect(endpoint)  # as the real one does with an address that names a host
        else:
            socket.bind(endpoint)
        return socket
