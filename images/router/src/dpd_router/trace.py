"""A request's events as they happen: kept for `observe` and for its spans, told to the log."""

from collections.abc import Callable
from typing import Any

import msgspec

from dpd_router.stages.observe import narrate
from dpd_router.tracing.context import Place
from dpd_router.types import Event, Request, Step


class Trace:
    """The event list of one request. `clock` gives seconds; `tell` takes a line and the request's id.

    `place` is where it stands in a trace of the client's or of ours, None when there are none.
    """

    __slots__ = ("_clock", "_request_id", "_span", "_tell", "events", "place")

    def __init__(
        self,
        request_id: str,
        clock: Callable[[], float],
        tell: Callable[[str, str], None],
        place: Place | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.place = place
        self._span = ""
        self._request_id = request_id
        self._clock = clock
        self._tell = tell

    def now(self) -> float:
        """Return the time as events have it."""
        return self._clock()

    def onward(self, request: Request) -> Request:
        """Return the request as the next leg takes it: one that is traced names the leg's span to the engine.

        The event that is added next is the leg's.
        """
        if self.place is None:
            return request
        self._span, headers = self.place.leg()
        return msgspec.structs.replace(request, headers=headers)

    def recall(self, step: Step, at: float, **detail: Any) -> None:
        """Append an event that happened at another time and was told then."""
        detail["request_id"] = self._request_id
        self.events.append(Event(step, at, detail))

    def add(self, step: Step, **detail: Any) -> float:
        """Append one event and return its time."""
        detail["request_id"] = self._request_id
        if self._span:
            detail["span"], self._span = self._span, ""
        at = self._clock()
        self.events.append(Event(step, at, detail))
        line = narrate(step, detail)
        if line is not None:
            self._tell(line, self._request_id)
        return at
