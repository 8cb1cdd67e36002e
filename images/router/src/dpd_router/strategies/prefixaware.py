"""prefixaware: prompts that begin alike go to the same worker, as long as it is not busier than its share.

A hash of the prompt's leading text finds the worker on the ring. Nothing is remembered of any prompt and nothing is
exchanged, yet every router finds the same one. What is too much for one worker goes to the next on the ring; where many
in a row have their share, to the least busy.
"""

from typing import TypeVar

from dpd_router.strategies.base import Fits, Ordered, Share, anyone
from dpd_router.strategies.ring import Ring
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)

# How much more than the mean a worker may have.
SHARE = 1.25
BLOCK_CHARACTERS = 1024
BLOCKS = 4
# Workers looked at on the ring; a prefix that has filled so many is served as well by any other.
LOOKS = 32


class PrefixAware(Ordered[C]):
    """Orders by affinity to the prompt's leading blocks, within the bound on load."""

    def __init__(self) -> None:
        super().__init__()
        self._ring: Ring[C] = Ring()
        self.share: Share[C] = Share()

    def joined(self, worker: C) -> None:
        """Count a worker in."""
        super().joined(worker)
        self._ring.add(worker)
        self.share.put(worker)

    def left(self, worker: C) -> None:
        """Count a worker out."""
        super().left(worker)
        self._ring.remove(worker)
        self.share.drop(worker)

    def touched(self, worker: C) -> None:
        """Note a worker's load."""
        super().touched(worker)
        self.share.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return those near the prompt's place on the ring that have room for it, then the least busy."""
        key = leading_blocks(prompt.lead).encode("utf-8", "surrogatepass")
        bound = self.share.bound(SHARE)
        own = self._ring.owner(key)
        if most == 1 and own is not None and own.in_flight < bound and fits(own):
            return [own]
        return self._near(key, bound, most, fits)

    def _near(self, key: bytes, bound: int, most: int, fits: Fits) -> list[C]:
        found = list[C]()
        for look, worker in enumerate(self._ring.walk(key)):
            if len(found) == most or look == LOOKS:
                break
            if worker.in_flight < bound and fits(worker):
                found.append(worker)
        if len(found) == most:
            return found
        taken = set(map(id, found))
        return found + self.queue.first(most - len(found), lambda each: id(each) not in taken and fits(each))


def leading_blocks(lead: str) -> str:
    """Return the whole leading blocks, four at most; a text shorter than one block counts as it is."""
    whole = min(len(lead) // BLOCK_CHARACTERS, BLOCKS) * BLOCK_CHARACTERS
    return lead[:whole] if whole else lead
