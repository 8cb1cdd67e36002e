"""kvaware: a prompt goes to the worker that holds the most of it, as that worker's own events tell.

A holder may be busier than others, for it has less to do, by two requests and no more: what all prompts begin with is
held by few at first, and with a share of the mean they would keep it, and the load, to themselves. Where nobody holds a
prompt's first block, where its tokens are not known, and where a worker's events had a gap, prefixaware chooses:
prompts that begin alike then still meet, and the next one finds its holder.
"""

from typing import TypeVar

from dpd_router.strategies.base import Fits, anyone
from dpd_router.strategies.kvindex import Index, Match
from dpd_router.strategies.prefixaware import PrefixAware
from dpd_router.types import Candidate, Prompt

C = TypeVar("C", bound=Candidate)

# Requests in flight that a holder has fewer of beyond those of the least busy, to be chosen.
AHEAD = 3
# Groups of holders that are looked at, the longest first, and holders that are sorted rather than searched for.
GROUPS = 4
FEW = 64


class KvAware(PrefixAware[C]):
    """Orders by what the index knows; whoever feeds it writes to `index`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.index: Index[C] = Index(most)

    def joined(self, worker: C) -> None:
        """Count a worker in, that holds nothing as far as is known."""
        super().joined(worker)
        self.index.join(worker)

    def left(self, worker: C) -> None:
        """Count a worker out, and forget its blocks."""
        super().left(worker)
        self.index.leave(worker)

    def rank(self, prompt: Prompt, most: int, fits: Fits = anyone) -> list[C]:
        """Return holders of the prompt that have room for it, those that hold the most first, then prefixaware's."""
        self.index.recall(prompt.ids)
        found: list[C] = []
        for match in self.index.match(prompt.ids)[:GROUPS] if prompt.ids else ():
            found += self._holders(match, most - len(found), fits)
            if len(found) == most:
                return found
        taken = set(map(id, found))
        rest = super().rank(prompt, most - len(found), lambda each: id(each) not in taken and fits(each))
        return found + rest

    def held(self, prompt: Prompt, worker: C) -> int:
        """Return how many of the prompt's first tokens the worker holds; a prompt's last is always computed."""
        return min(self.index.tokens(prompt.ids, worker), len(prompt.ids) - 1) if prompt.ids else 0

    def _holders(self, match: Match, most: int, fits: Fits) -> list[C]:
        """Return the least busy of a group. A few are sorted; of many, one comes soon in the order of load."""
        least, index = self.queue.first(1), self.index
        bound = AHEAD + (least[0].in_flight if least else 0)
        if match.workers.bit_count() <= FEW:
            able = [each for each in index.workers(match.workers) if each.in_flight < bound and fits(each)]
            return sorted(able, key=self.queue.key)[:most]
        return self.queue.first(
            most, lambda each: bool(match.workers & index.bit(each)) and each.in_flight < bound and fits(each)
        )
