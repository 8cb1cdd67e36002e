"""Who decides whether a request is traced, and takes its events when it has ended."""

import secrets
from collections.abc import Callable
from typing import Protocol

from dpd_router.tracing.context import Context, NewId, Place, place
from dpd_router.types import Event, Headers


class Tracer(Protocol):
    """The path's side of tracing."""

    def begin(self, headers: Headers) -> Place | None:
        """Return a new request's place in its trace, None when there are no traces."""

    def end(self, place: Place, events: list[Event]) -> None:
        """Take a request that has ended; returns at once."""


class Off:
    """No traces: what clients say of theirs passes as it is."""

    def begin(self, headers: Headers) -> Place | None:  # noqa: ARG002 - the protocol's
        """Return None."""
        return None

    def end(self, place: Place, events: list[Event]) -> None:
        """Do nothing."""


class Traces:
    """Traces: a share of `ratio` of what begins here, and what clients have begun and record."""

    def __init__(
        self, ratio: float, keep: Callable[[Context, list[Event]], None], new_id: NewId = secrets.token_hex
    ) -> None:
        self._ratio = ratio
        self._keep = keep
        self._new_id = new_id

    def begin(self, headers: Headers) -> Place:
        """Return a new request's place in its trace."""
        return place(headers, self._ratio, self._new_id)

    def end(self, place: Place, events: list[Event]) -> None:
        """Keep what is recorded for the exporter."""
        if place.context.sampled:
            self._keep(place.context, events)
