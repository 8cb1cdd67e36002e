"""A token bucket: so many requests a minute, and a few at once."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Rate:
    """What one key may do: `per_minute` requests on average, `burst` of them at once."""

    per_minute: float
    burst: int


class Bucket:
    """What is left of a key's rate, at times that the caller gives, in seconds."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._at = now

    def take(self, now: float) -> int:
        """Take one request: 0 when there was one to take, else the whole seconds until there is."""
        refill = (now - self._at) * self._rate.per_minute / 60
        self._left = min(float(self._rate.burst), self._left + refill)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0
        return max(1, ceil((1 - self._left) * 60 / self._rate.per_minute))
