"""What a decoder's transfer buffer holds: pages, prompts in flight, and the longest prompt the router lets in. Pure."""

from dataclasses import dataclass
from math import ceil

from dpd.pages import PAGE_TOKENS
from dpd.sizing import GIB

ESTIMATED_BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class InFlight:
    """Prompts of one length in a buffer. by_bytes: without rounding to pages, as HyperPod's documentation counts."""

    tokens: int
    rank_bytes: int
    pages: int
    transfers: int
    by_bytes: float


@dataclass(frozen=True, slots=True)
class Buffer:
    """A decoder's buffer on one rank: its bytes, those of a token, and how many routers there may be.

    The chart gives every router an equal share, and keeps one more for a router that comes while another leaves.
    """

    size: int
    token_bytes: int
    routers: int = 1

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return PAGE_TOKENS * self.token_bytes

    @property
    def pages(self) -> int:
        """Whole pages."""
        return self.size // self.page_bytes

    @property
    def share(self) -> int:
        """Pages of one router."""
        return self.pages // (self.routers + 1)

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt that may go through a prefiller: a page for every 256, and one more."""
        return max(0, self.share * PAGE_TOKENS - 1)

    @property
    def longest_uncounted(self) -> int:
        """Tokens of the longest prompt that goes there uncounted, by the router's four bytes a token.

        It reserves a page for every 256 bytes, for no token is shorter than one; where that is more than it owns, it
        has the prompt counted first, by a decoder.
        """
        return self.longest_prompt // ESTIMATED_BYTES_PER_TOKEN

    def reserved(self, tokens: int, *, exact: bool) -> int:
        """Pages the router reserves for a prompt before it is computed, which may be more than it owns."""
        uncounted = reserved_pages(tokens * ESTIMATED_BYTES_PER_TOKEN)
        return reserved_pages(tokens) if exact or uncounted > self.share else uncounted

    def in_flight(self, tokens: int) -> InFlight:
        """Return how many prompts of `tokens` fit."""
        pages, bytes_each = ceil(tokens / PAGE_TOKENS), tokens * self.token_bytes
        return InFlight(tokens, bytes_each, pages, self.pages // pages, self.size / bytes_each)

    def size_for(self, share: int) -> int:
        """Return the smallest whole number of GiB in which one router's share has so many pages, in bytes."""
        return ceil(share * (self.routers + 1) * self.page_bytes / GIB) * GIB


def reserved_pages(counted: int) -> int:
    """Pages the router reserves for a prompt of which it counts so many tokens, or bytes."""
    return counted // PAGE_TOKENS + 1
