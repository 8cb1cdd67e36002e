"""Which workers hold which blocks of KV, as their events tell, and how much of a prompt each of them holds.

A block's key is a hash of its tokens and of the key before it, so a prompt's keys are found from its token ids alone,
whatever hash its engine uses; the engine's own hash is kept per worker, for that is what its removals name. Who holds a
block is one integer with a bit for each worker. The index holds `most` pairs of worker and block, each worker its share
of them: while that is full, what the worker stores is not indexed.

An engine does not tell again of what it has held for long, such as a system prompt that everybody sends, and whoever
begins to listen late hears only of what follows it. So the latest prompts are kept: the one that a block stems from
says what stands before that block, and whoever stored a block holds all before it.
"""

from array import array
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import Generic, TypeVar

W = TypeVar("W")

# Blocks of a prompt that are looked up: 65,536 tokens of 16 to a block. Whoever holds as many has what matters.
MAX_DEPTH = 4096
_TOKEN = "Q"  # noqa: S105 - eight bytes for a token id
_TOKEN_BYTES = 8
_PART = 64
# Prompts that are kept for blocks whose beginning is not known.
RECENT = 64


@dataclass(slots=True)
class _Held:
    """One worker's blocks: its bit, and the index's key for each of the engine's hashes."""

    bit: int
    keys: dict[Hashable, int]


@dataclass(frozen=True, slots=True)
class Match:
    """Workers, as bits, that hold the first `tokens` tokens of a prompt."""

    tokens: int
    workers: int


class Index(Generic[W]):
    """Blocks by worker.

    `orphans` counts blocks that were stored after one that is not known here, `spared` those beyond a worker's share.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[W, _Held] = {}
        self._blocks: dict[int, int] = {}
        self._at: dict[int, W] = {}
        self._free: list[int] = []
        self._sizes: set[int] = set()
        self._pairs = 0
        self._last: tuple[Sequence[int], list[Match]] | None = None
        self._recent: deque[Sequence[int]] = deque(maxlen=RECENT)
        self.orphans = 0
        self.spared = 0

    def __len__(self) -> int:
        return self._pairs

    def join(self, worker: W) -> None:
        """Take a worker in, who holds nothing yet; everybody's share becomes smaller."""
        slot = heappop(self._free) if self._free else len(self._at)
        self._at[slot] = worker
        self._held[worker] = _Held(1 << slot, {})
        share = self._share()
        for held in self._held.values() if self._pairs > share else ():
            while len(held.keys) > share:
                self._release(held.bit, held.keys.popitem()[1])  # the newest: ends of prompts, not their beginnings

    def leave(self, worker: W) -> None:
        """Forget a worker."""
        held = self._held.get(worker)
        if held is not None:
            self.clear(worker)
            slot = held.bit.bit_length() - 1
            del self._held[worker], self._at[slot]
            heappush(self._free, slot)

    def clear(self, worker: W) -> None:
        """Forget all blocks of a worker."""
        held = self._held.get(worker)
        if held is not None:
            for key in held.keys.values():
                self._release(held.bit, key)
            held.keys.clear()

    def stored(self, worker: W, hashes: Sequence[Hashable], parent: Hashable, tokens: Sequence[int], size: int) -> None:
        """Note blocks that follow `parent`, None for the first; `tokens` are those of all of them."""
        held = self._held.get(worker)
        if held is None or size < 1:
            return
        root = size if parent is None else held.keys.get(parent)
        if root is None:
            root = self._adopted(held, parent, tokens, size)
        if root is None:
            self.orphans += len(hashes)
            return
        for name, key in zip(hashes, _chain(root, tokens, size), strict=False):
            self._hold(held, name, key)
        self._sizes.add(size)

    def removed(self, worker: W, hashes: Sequence[Hashable]) -> None:
        """Note blocks that a worker has evicted."""
        held = self._held.get(worker)
        for name in hashes if held else ():
            key = held.keys.pop(name, None) if held else None
            if held and key is not None:
                self._release(held.bit, key)

    def recall(self, ids: Sequence[int]) -> None:
        """Keep a prompt that is about to be computed, for the blocks that will be told of."""
        if ids and not (self._recent and self._recent[-1] is ids):
            self._recent.append(ids)

    def match(self, ids: Sequence[int]) -> list[Match]:
        """Return who holds how much of a prompt, those that hold the most first; each worker is in one of them."""
        if self._last is not None and self._last[0] is ids:
            return self._last[1]
        found = [each for size in self._sizes for each in self._matches(ids, size)]
        found.sort(key=lambda each: each.tokens, reverse=True)
        self._last = (ids, found)
        return found

    def tokens(self, ids: Sequence[int], worker: W) -> int:
        """Return how many of a prompt's first tokens a worker holds."""
        bit = self.bit(worker)
        return next((each.tokens for each in self.match(ids) if each.workers & bit), 0)

    def bit(self, worker: W) -> int:
        """Return a worker's bit, 0 for one that is not here."""
        held = self._held.get(worker)
        return held.bit if held else 0

    def workers(self, bits: int) -> Iterator[W]:
        """Yield the workers of some bits."""
        while bits:
            low = bits & -bits
            yield self._at[low.bit_length() - 1]
            bits ^= low

    def _matches(self, ids: Sequence[int], size: int) -> Iterator[Match]:
        depth, alive = 0, -1
        for depth, key in enumerate(islice(_chain(size, ids, size), MAX_DEPTH)):
            holders = self._blocks.get(key, 0) & alive
            if holders != alive and depth:
                yield Match(depth * size, alive & ~holders)
            alive = holders
            if not alive:
                return
        if alive > 0:
            yield Match((depth + 1) * size, alive)

    def _hold(self, held: _Held, name: Hashable, key: int) -> None:
        if name in held.keys:
            return
        if len(held.keys) >= self._share():
            self.spared += 1
            return
        held.keys[name] = key
        self._pairs += 1
        self._blocks[key] = self._one(self._blocks.get(key, 0) | held.bit)
        self._last = None

    def _adopted(self, held: _Held, parent: Hashable, tokens: Sequence[int], size: int) -> int | None:
        """Return the key of a parent that nobody told of, from a prompt that goes on as its child does."""
        for ids in reversed(self._recent):
            at = _aligned(ids, tokens, size)
            keys = list(_chain(size, ids[:at], size)) if at else []
            if keys:
                for key in keys[:-1]:
                    if not self._blocks.get(key, 0) & held.bit:
                        self._hold(held, (key,), key)
                self._hold(held, parent, keys[-1])
                return keys[-1]
        return None

    def _release(self, bit: int, key: int) -> None:
        left = self._blocks[key] & ~bit
        self._pairs -= 1
        if left:
            self._blocks[key] = self._one(left)
        else:
            del self._blocks[key]
        self._last = None

    def _one(self, bits: int) -> int:
        """Return the worker's own integer for a single bit: most blocks have one holder, and need no number more."""
        return self._held[self._at[bits.bit_length() - 1]].bit if bits & (bits - 1) == 0 else bits

    def _share(self) -> int:
        return max(1, self._most // max(1, len(self._held)))


def _aligned(ids: Sequence[int], tokens: Sequence[int], size: int) -> int:
    """Return where in a prompt some blocks' tokens stand, as far as it goes; 0 when not at the beginning of a block."""
    try:
        whole, part = array(_TOKEN, ids).tobytes(), array(_TOKEN, tokens).tobytes()
    except (TypeError, OverflowError):
        return 0
    step = size * _TOKEN_BYTES
    at = whole.find(part[:step])
    while at >= 0 and (at % step or not part.startswith(whole[at : at + len(part)])):
        at = whole.find(part[:step], at + 1)
    return max(0, at) // _TOKEN_BYTES


def _chain(key: int, tokens: Sequence[int], size: int) -> Iterator[int]:
    """Yield the keys of whole blocks; Python's own hash is quick, and keyed anew in every process.

    What is no token id ends the chain: it may come from a client.
    """
    step, part = size * _TOKEN_BYTES, size * _PART
    for begin in range(0, len(tokens), part):
        try:
            packed = array(_TOKEN, tokens[begin : begin + part]).tobytes()
        except (TypeError, OverflowError):
            return
        for start in range(0, len(packed) - step + 1, step):
            key = hash((key, packed[start : start + step]))
            yield key
