"""A request's events as they happen: kept for `observe`, told to the log."""

from collections.abc import Callable
from typing import Any

from dpd_router.stages.observe import narrate
from dpd_router.types import Event, Step


class Trace:
    """The event list of one request. `clock` gives seconds; `tell` takes a line and the request's id."""

    __slots__ = ("_clock", "_request_id", "_tell", "events")

    def __init__(self, request_id: str, clock: Callable[[], float], tell: Callable[[str, str], None]) -> None:
        self.events: list[Event] = []
        self._request_id = request_id
        self._clock = clock
        self._tell = tell

    def now(self) -> float:
        """Return the time as events have it."""
        return self._clock()

    def add(self, step: Step, **detail: Any) -> float:
        """Append one event and return its time."""
        detail["request_id"] = self._request_id
        event = Event(step, self._clock(), detail)
        self.events.append(event)
        line = narrate(event)
        if line is not None:
            self._tell(line, self._request_id)
        return event.at
