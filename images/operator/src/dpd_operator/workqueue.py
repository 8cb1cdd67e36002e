"""Which endpoints are due: each at most once at a time, soon after something happened, later again when it failed."""

import heapq
import threading
import time
from collections.abc import Callable

from dpd_operator.core.objects import Key

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


class WorkQueue:
    """Keys with the instant they are due. A key that somebody works on is handed out again only when that is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock that never goes back, in seconds."""
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, after: float = 0.0) -> None:
        """Let a key be due `after` seconds from now, or earlier when it is already due earlier."""
        due = self._clock() + after
        with self._changed:
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._heap, (due, key))
                self._changed.notify_all()

    def take(self) -> Key | None:
        """Wait for a key that is due, and return it; None when the queue was closed."""
        with self._changed:
            while not self._closed:
                pause = self._next()
                if isinstance(pause, Key):
                    self._busy.add(pause)
                    del self._due[pause]
                    return pause
                self._changed.wait(pause)
        return None

    def done(self, key: Key, *, is_good: bool) -> None:
        """Say how it went; after a failure the key is due again, each time later."""
        with self._changed:
            self._busy.discard(key)
            failures = 0 if is_good else self._failures.get(key, 0) + 1
            self._failures.pop(key, None)
            if failures:
                self._failures[key] = failures
            self._changed.notify_all()
        if failures:
            self.add(key, min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE))

    def close(self) -> None:
        """Hand out nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._due) + len(self._busy)

    def _next(self) -> Key | float | None:
        """Return a key that is due, or the seconds until one is, or None when none ever is."""
        now = self._clock()
        waiting: list[tuple[float, Key]] = []
        found: Key | float | None = None
        while self._heap and found is None:
            due, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)
            elif due > now:
                found = due - now
            elif key in self._busy:
                waiting.append(heapq.heappop(self._heap))
            else:
                heapq.heappop(self._heap)
                found = key
        for each in waiting:
            heapq.heappush(self._heap, each)
        return found
