"""Third step: prefillers as the router sees them and as they are, and how long a prompt takes one."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from bench.quality.traffic import BLOCK
from dpd_sim.core.timing import Timing

CACHE_BLOCKS = (1 << 20) // BLOCK
"""A million tokens: what Llama 3.3 70B leaves for KV on eight GPUs of 80 GB at a utilization of 0.75."""
_TIMING = Timing()


def seconds(new: int, before: int) -> float:
    """Return what a prefill takes, as the simulator of engines has it."""
    return _TIMING.step + _TIMING.prefill(new, before)


class Cache:
    """A prefiller's prefix cache: blocks, those unused the longest out first, ends of texts before their beginnings."""

    def __init__(self, most: int = CACHE_BLOCKS) -> None:
        self._most = most
        self._blocks: dict[int, None] = {}

    def held(self, blocks: Sequence[int]) -> int:
        """Return how many of a text's first blocks are here."""
        return _held(blocks, self._blocks)

    def keep(self, blocks: Sequence[int]) -> list[int]:
        """Have a text's blocks, as of now; return those that had to go."""
        kept = self._blocks
        for block in reversed(blocks):
            kept.pop(block, None)
            kept[block] = None
        gone = list[int]()
        while len(kept) > self._most:
            gone.append(block := next(iter(kept)))
            del kept[block]
        return gone


class Ever:
    """All blocks that ever were: one endless cache for everybody."""

    def __init__(self) -> None:
        self._blocks: set[int] = set()

    def held(self, blocks: Sequence[int]) -> int:
        """Return how many of a text's first blocks are here."""
        return _held(blocks, self._blocks)

    def keep(self, blocks: Sequence[int]) -> None:
        """Have a text's blocks."""
        self._blocks.update(blocks)


def _held(blocks: Sequence[int], there: Container[int]) -> int:
    """Return how many of the first are there, where with a block all before it are."""
    low, high = 0, len(blocks)
    while low < high:
        middle = (low + high) // 2
        if blocks[middle] in there:
            low = middle + 1
        else:
            high = middle
    return low


@dataclass(eq=False)
class Seen:
    """A prefiller as one router sees it."""

    name: str
    number: int
    in_flight: int = 0
    last_used: int = 0


@dataclass(eq=False)
class Prefiller:
    """A prefiller as it is: one prompt after the other. `until`: when it has done all that it was given."""

    cache: Cache = field(default_factory=Cache)
    until: float = 0.0
    requests: int = 0
    busy: float = 0.0


def names(count: int) -> list[str]:
    """Return the names of so many prefillers."""
    return [f"10.0.{number // 256}.{number % 256}:8081" for number in range(count)]
