"""Passive health: what a worker's answers say of it. A worker that keeps failing is left alone for a while.

What counts is failures in a row, each of another request: one that an engine cannot digest may come as often as its
client likes and takes nobody's worker away. After its time a worker is given one request, and more when that one
succeeds.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ejection:
    """The settings. `failures` in a row eject for `base` seconds, twice as long each time, `longest` at most.

    No more than `share` of a role's workers is ejected at a time, and never the last one. 0 failures: none ever is.
    """

    failures: int = 5
    base: float = 1.0
    longest: float = 60.0
    share: float = 0.5

    def seconds(self, times: int, chance: float) -> float:
        """Return how long the ejection number `times` lasts; `chance`, 0 to 1, spreads the returns by a fifth."""
        return min(self.longest, self.base * 2.0 ** min(times - 1, 30)) * (0.8 + 0.4 * chance)

    def allows(self, ejected: int, peers: int) -> bool:
        """Say whether one more of `peers` workers may go when `ejected` are out already."""
        return self.failures > 0 and ejected < max(1, int(peers * self.share)) and ejected + 1 < peers


@dataclass(slots=True)
class Suspicion:
    """What is held against one worker. Times are seconds on the pool's clock."""

    failed: set[int] = field(default_factory=set)
    unnamed: int = 0
    times: int = 0
    until: float = 0.0
    since: float = 0.0
    ejected: bool = False
    trial: bool = False

    def admits(self, now: float) -> bool:
        """Say whether the worker may be given a request: not while it is ejected, and then one at a time."""
        return not self.ejected or (now >= self.until and not self.trial)

    def begin(self, now: float) -> bool:
        """Note that a request begins; say whether it is the one on trial."""
        if not self.ejected or now < self.until or self.trial:
            return False
        self.trial = True
        return True

    def failure(self, request: int | None) -> int:
        """Note a failure of a request, None for one that no request has to do with; return how many count."""
        if request is None:
            self.unnamed += 1
        else:
            self.failed.add(request)
        return len(self.failed) + self.unnamed

    def success(self, now: float, longest: float) -> None:
        """Forget what was held against the worker; how often it was ejected is forgotten later."""
        self.failed.clear()
        self.unnamed = 0
        if now >= self.until:
            self.ejected = False
        if now - self.until > longest:
            self.times = 0

    def eject(self, now: float, seconds: float) -> None:
        """Leave the worker alone for so long."""
        self.since, self.until = now, now + seconds
        self.times += 1
        self.ejected = True
        self.failed.clear()
        self.unnamed = 0
