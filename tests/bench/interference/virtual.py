"""First step: a loop whose time jumps to the next thing due. Hours pass in seconds, and are the same each time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: what it was to wait is added to the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready, at once."""
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that have passed in here."""
        return self._jumping.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a time of its own."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
