"""What prefill leaves for decode."""

from collections.abc import Callable
from dataclasses import dataclass

from dpd_router.pool import Address
from dpd_router.tags import Share
from dpd_router.types import Params, Reason


def nothing() -> None:
    """Free no pages: none were taken."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """`params` when KV waits for a decoder, none when the decoder computes the prompt itself.

    `free` gives the decoder's pages back; it may be called more than once. `failed` says why there is no KV. `origin`
    is the prefiller, when any decoder that pairs with it can have the KV; None when it lies in one decoder's buffer,
    where `share` is its part in the tag.
    """

    params: Params | None = None
    tag: str = "-"
    failed: Reason | None = None
    free: Callable[[], None] = nothing
    origin: Address | None = None
    share: Share | None = None

    def for_another(self, decoder: Address) -> "Handoff":
        """Return what holds for a decoder that was not meant at first."""
        if self.origin is not None and self.origin.pairs_with(decoder):
            return self
        return NO_HANDOFF


NO_HANDOFF = Handoff()
"""Of a prompt that its decoder computes from the beginning."""
