"""What an engine tells of its prefix cache: blocks stored, removed, all cleared, in the order in which it happened."""

from collections.abc import Sequence
from typing import Any

from dpd_sim.core.blocks import BlockHash

_MASK = (1 << 64) - 1
MEDIUM = "GPU"


class BlockEvents:
    """Events since they were last taken, each as its msgpack array will have it."""

    def __init__(self) -> None:
        self._events: list[list[Any]] = []

    def stored(self, hashes: Sequence[BlockHash], parent: BlockHash | None, tokens: Sequence[int], size: int) -> None:
        """Note blocks that can be found from now on."""
        outward = [_outward(each) for each in hashes]
        before = None if parent is None else _outward(parent)
        self._events.append(["BlockStored", outward, before, list(tokens), size, None, MEDIUM, None])

    def removed(self, digest: BlockHash) -> None:
        """Note a block that was evicted."""
        self._events.append(["BlockRemoved", [_outward(digest)], MEDIUM])

    def cleared(self) -> None:
        """Note that nothing can be found any more."""
        self._events.append(["AllBlocksCleared"])

    def take(self) -> list[list[Any]]:
        """Return what happened, and begin anew."""
        events, self._events = self._events, []
        return events


def _outward(digest: BlockHash) -> int:
    """Return a hash as the engine tells it: its low 64 bits, without a sign."""
    return digest & _MASK
