"""Drift: pages that a decoder says are taken and that no transfer accounts for.

The decoder's figure is late by some seconds, so one look proves nothing: what counts is what every look of a whole
window has shown. Pages of other routers' transfers come and go, and leaked ones do not.
"""

from collections import deque
from dataclasses import dataclass, field

LAG_SECONDS = 15.0
"""How old an engine's figure may be: LMCache's reporter writes it every ten seconds."""


@dataclass(slots=True)
class Drift:
    """The looks at one decoder. `window` is in seconds; `observed` is what it said last, None when it says nothing."""

    window: float
    observed: int | None = None
    lost: int = 0
    _held: deque[tuple[float, int]] = field(default_factory=deque)
    _surplus: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, now: float, observed: int, held: int) -> int:
        """Note that `observed` pages are taken and that at most `held` were ours since the last look.

        Returns the pages that are lost: those that nobody accounted for in any look of the window, none while it is not
        full. What is lost stays so until fewer are taken: transfers of ours may hide it, and do not bring it back.
        """
        self.observed = observed
        self._held.append((now, held))
        while self._held[0][0] < now - LAG_SECONDS:
            self._held.popleft()
        self._surplus.append((now, max(0, observed - max(pages for _, pages in self._held))))
        while len(self._surplus) > 1 and self._surplus[1][0] <= now - self.window:
            self._surplus.popleft()
        full = self._surplus[0][0] <= now - self.window
        lasting = min(pages for _, pages in self._surplus) if full else 0
        self.lost = max(lasting, min(self.lost, observed))
        return self.lost
