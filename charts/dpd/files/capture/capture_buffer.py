"""What is held between the proxy and the bucket: records in batches, never more than a fixed number of bytes.

Threads put records in and take batches out. A batch is due when it is full or old enough; once the pod stops, at once.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is due: `records` in it, `bytes_` of it, `seconds` since its first. `held`: bytes of all batches."""

    records: int
    seconds: float
    held: int
    bytes_: int


@dataclass(slots=True)
class Batch:
    """Records that are stored as one object, and when the first of them came in, on the buffer's clock."""

    since: float
    lines: list[bytes] = field(default_factory=list)
    size: int = 0


class Buffer:
    """The batches of a pod. `clock` gives monotonic seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._change = threading.Condition()
        self._ready: deque[Batch] = deque()
        self._open: Batch | None = None
        self._held = 0
        self._hurries = False
        self._is_closed = False

    @property
    def held(self) -> int:
        """Bytes of records that are not stored yet."""
        return self._held

    def add(self, line: bytes) -> bool:
        """Take a record in; return False when there is no room for it."""
        with self._change:
            if self._is_closed or self._held + len(line) > self._limits.held:
                return False
            self._held += len(line)
            batch = self._open = self._open or Batch(self._clock())
            batch.lines.append(line)
            batch.size += len(line)
            if self._hurries or len(batch.lines) >= self._limits.records or batch.size >= self._limits.bytes_:
                self._finish()
            # The first record of a batch sets the time by which somebody must wake up.
            self._change.notify()
            return True

    def take(self) -> Batch | None:
        """Wait for a batch that is due; return None when the buffer is closed and empty."""
        with self._change:
            while not self._ready:
                left = self._left()
                if left is not None and left <= 0:
                    self._finish()
                elif self._is_closed:
                    return None
                else:
                    self._change.wait(left)
            return self._ready.popleft()

    def stored(self, batch: Batch) -> None:
        """Give a batch's room back."""
        with self._change:
            self._held -= batch.size

    def hurry(self) -> None:
        """From now on whatever comes is due at once."""
        with self._change:
            self._hurries = True
            self._finish()
            self._change.notify_all()

    def close(self) -> None:
        """Take nothing in any more; whoever takes gets what is left, then None."""
        with self._change:
            self._is_closed = True
            self._finish()
            self._change.notify_all()

    def _left(self) -> float | None:
        if self._open is None:
            return None
        return self._open.since + self._limits.seconds - self._clock()

    def _finish(self) -> None:
        if self._open is not None:
            self._ready.append(self._open)
            self._open = None
