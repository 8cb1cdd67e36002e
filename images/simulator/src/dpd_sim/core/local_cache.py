"""LMCache's CPU cache: chunks by key, least recently used out first. All ranks hold the same; one stands for all."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence


class LocalCache:
    """A number of chunks, found by key. What lies under a key need not be what the key names: see `misnamed`."""

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._held: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def keep(self, key: str, of: str | None = None) -> None:
        """Store the chunk that `of` names, or `key` itself, under `key`; one that is there already stays, refreshed."""
        self._held.setdefault(key, of or key)
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)

    def is_right(self, key: str) -> bool:
        """Whether the chunk under this key is the one it names."""
        return self._held[key] == key


def misnamed(keys: Sequence[str], held: LocalCache) -> Iterable[tuple[str, str]]:
    """Key and chunk as LMCache 0.4.3 pairs them on a sender: copies of what is not held, under the first keys."""
    return zip(keys, [key for key in keys if key not in held], strict=False)
