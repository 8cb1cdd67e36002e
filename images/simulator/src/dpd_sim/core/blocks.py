"""The engine's own paged KV cache: blocks, the prefix cache over them, and who holds what."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

BlockHash = int


def block_hashes(tokens: Sequence[int], size: int, salt: int = 0) -> list[BlockHash]:
    """Chained hashes of the full blocks of a sequence."""
    found: list[int] = []
    parent = salt
    for start in range(0, len(tokens) - size + 1, size):
        parent = hash((parent, tuple(tokens[start : start + size])))
        found.append(parent)
    return found


def _nobody(_digest: BlockHash) -> None:
    """Tell nobody."""


class BlockPool:
    """A number of blocks, shared by sequences; full ones stay findable by hash until their room is needed."""

    def __init__(self, blocks: int, size: int, caching: bool, evicted: Callable[[BlockHash], None] = _nobody):
        self.size = size
        self.total = blocks
        self._caching = caching
        self._evicted = evicted
        self._private = 0
        self._shared: dict[BlockHash, int] = {}
        self._idle: OrderedDict[BlockHash, None] = OrderedDict()

    @property
    def free(self) -> int:
        """Blocks a sequence could get now; idle cached ones count, for they are evicted on demand."""
        return self.total - self._private - len(self._shared)

    @property
    def usage(self) -> float:
        """Share of the blocks that running sequences hold, 0 to 1."""
        return 1 - self.free / self.total

    def cached_tokens(self, hashes: Sequence[BlockHash], tokens: int) -> int:
        """Tokens at the head of a sequence that need no computing; the last token always does."""
        if not self._caching:
            return 0
        hit = 0
        for digest in hashes[: max(0, (tokens - 1) // self.size)]:
            if digest not in self._shared and digest not in self._idle:
                break
            hit += 1
        return hit * self.size

    def claim(self, blocks: int) -> bool:
        """Take private blocks, evicting the longest idle cached ones; False when too few are left."""
        if blocks > self.free:
            return False
        self._private += blocks
        self._evict()
        return True

    def share(self, digest: BlockHash) -> None:
        """Hold a cached block."""
        self._idle.pop(digest, None)
        self._shared[digest] = self._shared.get(digest, 0) + 1

    def publish(self, digest: BlockHash) -> bool:
        """Turn one private block into a findable one; False when caching is off and the block stays private."""
        if not self._caching:
            return False
        self._private -= 1
        self.share(digest)
        return True

    def release(self, private: int, shared: Sequence[BlockHash]) -> None:
        """Give back what a sequence held; its findable blocks stay as long as there is room."""
        self._private -= private
        for digest in reversed(shared):
            self._shared[digest] -= 1
            if not self._shared[digest]:
                del self._shared[digest]
                self._idle[digest] = None
        self._evict()

    def _evict(self) -> None:
        while self._idle and len(self._idle) > self.free:
            self._evicted(self._idle.popitem(last=False)[0])

    def clear(self) -> bool:
        """Forget every cached block, as `/reset_prefix_cache` does; False when some are in use and nothing is done."""
        if self._shared:
            return False
        self._idle.clear()
        return True
