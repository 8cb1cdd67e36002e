"""roundrobin: the worker that was chosen the longest ago."""

from collections.abc import Sequence
from typing import TypeVar

from dpd_router.types import Candidate

C = TypeVar("C", bound=Candidate)


def roundrobin(_lead: str, candidates: Sequence[C]) -> list[C]:
    """Order the candidates by their last turn; the prompt plays no part."""
    return sorted(candidates, key=lambda each: (each.last_used, each.name))
