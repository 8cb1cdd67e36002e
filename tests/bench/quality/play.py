"""Fifth step: one run. Conversations begin by chance, a turn follows the answer to the one before it.

Prompts wait in line at their prefiller, which computes what its cache does not hold. The load would keep prefillers
busy half of the time if nothing were computed twice; who finds less in its caches has more to do, and longer lines.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count

from bench.quality.fleet import Ever, Prefiller, seconds
from bench.quality.players import Router
from bench.quality.shapes import Shape
from bench.quality.traffic import BLOCK, Conversation, conversations

BUSY = 0.5
COLD = 0.3
"""The first requests fill caches and are not counted, nor are those that come after the last conversation began."""
TOKEN_SECONDS = 0.02


@dataclass
class Outcome:
    """What one run was like. `possible` are the tokens that one endless cache for all would have held."""

    tokens: int = 0
    hit: int = 0
    possible: int = 0
    firsts: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Prompt tokens that were cached, as a share of all."""
        return self.hit / self.tokens

    @property
    def p99(self) -> float:
        """Seconds to the first token that one in a hundred exceeded."""
        return sorted(self.firsts)[int(0.99 * (len(self.firsts) - 1))]

    @property
    def request_imbalance(self) -> float:
        """Requests of the prefiller with the most, to the mean."""
        return max(self.requests) * len(self.requests) / sum(self.requests)

    @property
    def work_imbalance(self) -> float:
        """Seconds of work of the prefiller with the most, to the mean."""
        return max(self.busy) * len(self.busy) / sum(self.busy)


def play(shape: Shape, strategy: str, prefillers: int, seed: int, requests: int, routers: int = 1) -> Outcome:
    """Run it; the traffic is the same for every strategy with the same seed."""
    spoken = conversations(shape, seed, requests)
    return Run(strategy, prefillers, routers, random.Random(seed)).play(spoken)


def least_work(spoken: list[Conversation]) -> float:
    """Return the seconds of all prefills together if nothing were computed twice."""
    heads, total = set[int](), 0.0
    for each in spoken:
        before = len(each.head) * BLOCK if each.head.start in heads else 0
        heads.add(each.head.start)
        for turn in each.turns:
            total += seconds(turn.tokens - min(before, turn.tokens - 1), before)
            before = turn.tokens
    return total


class Run:
    """A fleet and its routers, and what is due: when, in which order, and what then happens."""

    def __init__(self, strategy: str, prefillers: int, routers: int, dice: random.Random) -> None:
        self._fleet = [Prefiller() for _ in range(prefillers)]
        self._routers = [Router(strategy, [each.cache for each in self._fleet]) for _ in range(routers)]
        self._all = Ever()
        self._dice = dice
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._cold, self._end = 0, 0.0
        self.outcome = Outcome()

    def play(self, spoken: list[Conversation]) -> Outcome:
        """Run until all was said."""
        self._cold = int(sum(len(each.turns) for each in spoken) * COLD)
        rate, at = BUSY * len(self._fleet) * len(spoken) / least_work(spoken), 0.0
        for each in spoken:
            at += self._dice.expovariate(rate)
            self._at(at, partial(self._asked, each, 0))
        self._end = at
        while self._due:
            now, _, happens = heappop(self._due)
            happens(now)
        self.outcome.requests = [each.requests for each in self._fleet]
        self.outcome.busy = [each.busy for each in self._fleet]
        return self.outcome

    def _at(self, when: float, happens: Callable[[float], None]) -> None:
        heappush(self._due, (when, next(self._order), happens))

    def _asked(self, conversation: Conversation, turn: int, now: float) -> None:
        """A prompt comes: a router gives it to a prefiller, where what it will find and leave is known at once."""
        blocks = conversation.blocks(turn)
        prompt = conversation.prompt(turn, blocks)
        router = self._routers[self._dice.randrange(len(self._routers))]
        number = router.choose(prompt)
        prefiller = self._fleet[number]
        held = prefiller.cache.held(blocks)
        gone = prefiller.cache.keep(blocks)
        # The last token is always computed, for the next one comes from it.
        hit = min(held * BLOCK, prompt.tokens - 1)
        took = seconds(prompt.tokens - hit, hit)
        prefiller.until = max(now, prefiller.until) + took
        if now <= self._end:
            self._count(prompt.tokens, hit, self._all.held(blocks) * BLOCK, prefiller, took, prefiller.until - now)
        self._all.keep(blocks)
        self._at(prefiller.until, partial(self._done, router, number, blocks, held, gone))
        if turn + 1 < len(conversation.turns):
            said = conversation.turns[turn]
            later = prefiller.until + said.answer * TOKEN_SECONDS + said.pause
            self._at(later, partial(self._asked, conversation, turn + 1))

    def _count(self, tokens: int, hit: int, possible: int, prefiller: Prefiller, took: float, first: float) -> None:
        if self._cold:
            self._cold -= 1
            return
        found = self.outcome
        found.tokens += tokens
        found.hit += hit
        found.possible += min(possible, tokens - 1)
        found.firsts.append(first)
        prefiller.requests += 1
        prefiller.busy += took

    def _done(self, router: Router, number: int, blocks: list[int], held: int, gone: list[int], _now: float) -> None:
        router.ended(number)
        for each in self._routers:
            each.hear(number, blocks, held, gone)
