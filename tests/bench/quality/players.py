"""Fourth step: who chooses. The router's own strategies, each behind what a pool tells it, and an oracle."""

from collections.abc import Callable, Sequence
from typing import Any

from bench.quality.fleet import Cache, Seen, names
from dpd_router.strategies import KVAWARE, strategy_named
from dpd_router.strategies.base import Ordered, Share, anyone, load
from dpd_router.strategies.kvaware import KvAware
from dpd_router.strategies.prefixaware import BEYOND, SHARE
from dpd_router.types import Prompt

ORACLE = "oracle"
INDEXED = 1 << 22


class Oracle(Ordered[Seen]):
    """Knows every cache as it will be when the prompt's turn comes, and takes the one that holds the most of it.

    Among those within the bounds on load that prefixaware keeps, the wider one for whoever holds more than half of the
    prompt; of equals the least busy.
    """

    def __init__(self, caches: Sequence[Cache]) -> None:
        super().__init__()
        self._caches = caches
        self._share: Share[Seen] = Share()
        self._all: list[Seen] = []

    def joined(self, worker: Seen) -> None:
        """Count a worker in."""
        super().joined(worker)
        self._share.put(worker)
        self._all.append(worker)

    def touched(self, worker: Seen) -> None:
        """Note a worker's load."""
        super().touched(worker)
        self._share.touch(worker)

    def rank(self, prompt: Prompt, most: int, fits: Callable[[Any], bool] = anyone) -> list[Seen]:
        """Return the best."""
        bound, half = self._share.bound(SHARE), len(prompt.ids) / 2
        near = [each for each in self._all if each.in_flight < bound + BEYOND]
        held = {each: self._caches[each.number].held(prompt.ids) for each in near}
        able = [each for each in near if each.in_flight < bound + BEYOND * (held[each] > half)]
        return [min(able, key=lambda each: (-held[each], *load(each)))]


class Router:
    """One router: a strategy, and what it has in flight itself. Where the strategy listens, it hears of every block."""

    def __init__(self, name: str, caches: Sequence[Cache]) -> None:
        self.seen = [Seen(each, number) for number, each in enumerate(names(len(caches)))]
        self._turn = 0
        self._strategy: Any = Oracle(caches) if name == ORACLE else _made(name)
        self._listens = name == KVAWARE
        for each in self.seen:
            self._strategy.joined(each)

    def choose(self, prompt: Prompt) -> int:
        """Give a prompt to a prefiller; return its number."""
        worker: Seen = self._strategy.rank(prompt, 1)[0]
        self._turn += 1
        worker.last_used = self._turn
        worker.in_flight += 1
        self._strategy.touched(worker)
        return worker.number

    def ended(self, number: int) -> None:
        """Count a prompt out."""
        worker = self.seen[number]
        worker.in_flight -= 1
        self._strategy.touched(worker)

    def hear(self, number: int, blocks: Sequence[int], held: int, gone: Sequence[int]) -> None:
        """Take in what a prefiller tells of its cache: what it stored after the blocks it held, and what it dropped."""
        if self._listens:
            worker, index = self.seen[number], self._strategy.index
            new = blocks[held:]
            index.stored(worker, new, blocks[held - 1] if held else None, new, 1)
            index.removed(worker, gone)


def _made(name: str) -> Any:
    return KvAware(INDEXED) if name == KVAWARE else strategy_named(name)
