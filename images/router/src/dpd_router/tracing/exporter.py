"""Sends ended requests' spans to a collector: in the background, a bounded number, and never at a request's cost."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from dpd_router.tracing.context import Context, NewId
from dpd_router.tracing.otlp import CONTENT_TYPE, Message
from dpd_router.tracing.spans import spans
from dpd_router.types import Event

_MOST = 64  # requests in one message
_GATHER_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
_PAUSES = (1.0, 2.0, 4.0, 8.0)  # before a message is sent again
_LATER = (429, 502, 503, 504)  # the statuses after which the protocol has it sent again


class _LaterError(Exception):
    """A message was not taken, and may be sent again."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """`monotonic` is that of events, `wall` that of spans; both in seconds."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Exporter:
    """Keeps at most `room` requests that have ended, and sends them to `url`.

    `outcomes` counts them: `sent`, `dropped` for want of room, `failed` when nobody would take them.
    """

    def __init__(
        self, url: str, room: int, resource: Mapping[str, str], clocks: Clocks, tell: Callable[[str], None]
    ) -> None:
        self.outcomes = {"sent": 0, "dropped": 0, "failed": 0}
        self._url = url
        self._room = room
        self._resource = resource
        self._clocks = clocks
        self._tell = tell
        self._waiting: deque[tuple[Context, list[Event]]] = deque()
        self._some = asyncio.Event()
        self._well = True
        self._new_id: NewId = secrets.token_hex
        self._client: aiohttp.ClientSession | None = None

    def keep(self, place: Context, events: list[Event]) -> None:
        """Take a request that has ended; without room it is counted and forgotten."""
        if len(self._waiting) >= self._room:
            self.outcomes["dropped"] += 1
            return
        self._waiting.append((place, events))
        self._some.set()

    async def run(self) -> None:
        """Send what comes, for good."""
        while True:
            await self._some.wait()
            if len(self._waiting) < _MOST:
                await asyncio.sleep(_GATHER_SECONDS)  # others may join
            await self._send(_PAUSES)

    async def close(self, seconds: float) -> None:
        """Send what is left, once, for so many seconds at most; the rest is counted as failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._send(())
        self.outcomes["failed"] += len(self._waiting)
        if self._waiting:
            self._tell(f"traces: requests={len(self._waiting)} were not sent")
        self._waiting.clear()
        if self._client is not None:
            await self._client.close()

    async def _send(self, pauses: tuple[float, ...]) -> None:
        """Send the oldest requests in one message; what cannot be sent is given up.

        They stay in their places until then, so that whoever cuts this short loses none.
        """
        count = min(_MOST, len(self._waiting))
        message = await self._message(count)
        sent = await self._delivered(message, pauses)
        for _ in range(count):
            self._waiting.popleft()
        if not self._waiting:
            self._some.clear()
        self.outcomes["sent" if sent else "failed"] += count

    async def _message(self, count: int) -> bytes:
        message = Message(self._resource)
        epoch = self._clocks.wall() - self._clocks.monotonic()
        for index in range(count):
            place, events = self._waiting[index]
            try:
                message.add(place, spans(place, events, self._new_id), epoch)
            except Exception as error:  # noqa: BLE001 - one request that cannot be told, not all after it
                self._tell(f"traces: request {events[0].detail['request_id']} cannot be told: {error!r}")
            await asyncio.sleep(0)  # requests first: this takes no longer a turn than one of them
        return message.encoded()

    async def _delivered(self, message: bytes, pauses: tuple[float, ...]) -> bool:
        for pause in (*pauses, None):
            try:
                why = await self._post(message)
            except _LaterError as error:
                why = str(error)
                if pause is not None:
                    await asyncio.sleep(pause)
                    continue
            if self._well is not (why == ""):
                self._tell(f"traces: {self._url} {why or 'takes them again'}")
            self._well = why == ""
            return self._well
        raise AssertionError("the last turn returns")

    async def _post(self, message: bytes) -> str:
        """Return why a message was refused, empty when it was taken. Raises _LaterError when it may be sent again."""
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS))
        headers = {"content-type": CONTENT_TYPE}
        try:
            async with self._client.post(self._url, data=message, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise _LaterError(f"cannot be reached: {error!r}") from None
        except Exception as error:  # noqa: BLE001 - one message, not all after it
            return f"cannot be told: {error!r}"
        if status in _LATER:
            raise _LaterError(f"answers {status}")
        return "" if 200 <= status < 300 else f"answers {status}"
