"""prefixaware: prompts that begin alike go to the same worker, as long as it is not busier than its share.

Each worker gets a score from a hash of its name and the prompt's leading text; the highest wins. Nothing is
remembered and nothing is exchanged, yet every router orders alike, and a worker that comes or goes moves only its own
prompts. The bound on load sends what is too much for one worker to the next in that order.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil
from typing import TypeVar

from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)

BLOCK_CHARACTERS = 1024
BLOCKS = 4
SHARE = 1.25


def prefixaware(lead: str, candidates: Sequence[C]) -> list[C]:
    """Order the candidates by affinity to the prompt's leading blocks, those beyond their share of the load last."""
    key = blake2b(leading_blocks(lead).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    ranked = sorted(candidates, key=lambda each: (_score(key, each.name), each.name), reverse=True)
    total = sum(each.in_flight for each in candidates) + 1
    bound = ceil(SHARE * total / max(1, len(candidates)))
    within = [each for each in ranked if each.in_flight < bound]
    beyond = [each for each in ranked if each.in_flight >= bound]
    return within + beyond


def leading_blocks(lead: str) -> str:
    """Return the whole leading blocks, four at most; a text shorter than one block counts as it is."""
    whole = min(len(lead) // BLOCK_CHARACTERS, BLOCKS) * BLOCK_CHARACTERS
    return lead[:whole] if whole else lead


def _score(key: bytes, name: str) -> bytes:
    return blake2b(name.encode(), key=key, digest_size=8).digest()
