"""Transfers that share a tag: whose pages lie under it in one decoder's buffer, and who may read there alone.

Prompts that begin alike share pages under one tag, each page as often as it was sent. Who reads and has perhaps sent
nothing would take what others sent, and leave them without: that one reads when nobody else's pages are left.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Tags:
    """The transfers into one decoder whose pages are not read yet, by tag."""

    def __init__(self) -> None:
        self._sent: Counter[str] = Counter()
        self._empty: dict[str, asyncio.Event] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def enter(self, tag: str) -> "Share":
        """Count a transfer in."""
        self._sent[tag] += 1
        return Share(self, tag)

    def left(self, tag: str) -> None:
        """Count a transfer out."""
        self._sent[tag] -= 1
        if not self._sent[tag]:
            del self._sent[tag]
            self._empty.pop(tag, asyncio.Event()).set()

    @asynccontextmanager
    async def alone(self, tag: str) -> AsyncIterator[None]:
        """Wait until no transfer is counted under a tag, one waiter after the other."""
        turn = self._turns.setdefault(tag, asyncio.Lock())
        async with turn:
            while self._sent[tag]:
                await self._empty.setdefault(tag, asyncio.Event()).wait()
            yield


class Share:
    """One transfer's part in a tag."""

    def __init__(self, tags: Tags, tag: str) -> None:
        self._tags = tags
        self._tag = tag
        self._left = False

    def leave(self) -> None:
        """Say that its pages are read, or are nobody's any more; may be called more than once."""
        if not self._left:
            self._left = True
            self._tags.left(self._tag)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Leave, and wait until nobody else's pages are under the tag."""
        self.leave()
        async with self._tags.alone(self._tag):
            yield
