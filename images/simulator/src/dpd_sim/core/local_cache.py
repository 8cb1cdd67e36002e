"""LMCache's CPU cache: chunks by key, least recently used out first. All ranks hold the same; one stands for all."""

from collections import OrderedDict


class LocalCache:
    """A number of chunks, found by key."""

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def keep(self, key: str) -> None:
        """Store or refresh a chunk."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        while len(self._keys) > self._capacity:
            self._keys.popitem(last=False)
