"""One rank's PD buffer: pages that are reserved, written, taken, and leaked when nobody takes them.

A page is indexed by its key the moment it is reserved, before any data has come, and goes back to the free list only
when a decode takes it. There is no expiry, no eviction and no cancel: that is what the engine this stands for does.
"""

from dataclasses import dataclass
from typing import Literal

Taken = Literal["good", "garbage"]


@dataclass(slots=True)
class _Page:
    key: str | None = None
    holders: int = 0
    content: str | None = None


class PageBuffer:
    """A fixed number of pages, found by key."""

    def __init__(self, pages: int):
        self._pages = [_Page() for _ in range(pages)]
        self._free = list(range(pages - 1, -1, -1))
        self._index: dict[str, int] = {}

    @property
    def capacity(self) -> int:
        """Pages there are."""
        return len(self._pages)

    @property
    def used(self) -> int:
        """Pages not on the free list, leaked ones included."""
        return len(self._pages) - len(self._free)

    @property
    def indexed(self) -> int:
        """Pages a decode could still find."""
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def hold_again(self, key: str) -> bool:
        """Count one more holder of a page that is already there; it then takes as many decodes to free it."""
        at = self._index.get(key)
        if at is None:
            return False
        self._pages[at].holders += 1
        return True

    def reserve(self, key: str) -> int | None:
        """Give a free page to a key and index it at once; None when the buffer is full."""
        if not self._free:
            return None
        at = self._free.pop()
        page = self._pages[at]
        page.key, page.holders = key, 1
        self._index[key] = at
        return at

    def write(self, at: int, key: str) -> None:
        """Land data in a page, whoever owns it by now, as a one-sided write does."""
        self._pages[at].content = key

    def take(self, key: str) -> Taken:
        """Hand a page to a decode; the last holder's decode frees it and drops it from the index.

        "garbage" when what lies in it is not the key's data. Raises KeyError when the key is not there (any more).
        """
        at = self._index[key]
        page = self._pages[at]
        state: Taken = "good" if page.content == key else "garbage"
        page.holders -= 1
        if page.holders == 0:
            del self._index[key]
            page.key = page.content = None
            self._free.append(at)
        return state


def pages_in(buffer_bytes: int, token_bytes: int, chunk: int) -> int:
    """Pages that fit a buffer, for the bytes one token takes on one rank."""
    return buffer_bytes // (token_bytes * chunk)
