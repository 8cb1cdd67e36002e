"""Second step: which prompt tokens a step computes, beside one token for every stream that decodes. Decides only."""

from collections import deque
from dataclasses import dataclass


@dataclass(eq=False)
class Job:
    """A long prompt in the engine, in a slot of the KV cache."""

    arrived: float
    tokens: int
    slot: int = -1
    computed: int = 0


@dataclass(frozen=True)
class Piece:
    """Tokens [before, before + new) of a job's prompt."""

    job: Job
    before: int
    new: int

    @property
    def last(self) -> bool:
        """Whether the prompt is whole after it."""
        return self.before + self.new == self.job.tokens


class Batch:
    """Continuous batching with chunked prefill: a step has `budget` tokens, those that decode first; None: no limit."""

    def __init__(self, slots: range, budget: int | None) -> None:
        self.waiting: deque[Job] = deque()
        self._free = deque(slots)
        self._prefilling: list[Job] = []
        self._budget = budget

    def take(self) -> int | None:
        """Take a free slot."""
        return self._free.popleft() if self._free else None

    def give(self, slot: int) -> None:
        """Give a slot back."""
        self._free.append(slot)

    def plan(self, decoding: int) -> list[Piece]:
        """Return the pieces of the next step, and count them as computed; the prompts begun first go on first."""
        left = None if self._budget is None else self._budget - decoding
        pieces: list[Piece] = []
        while left is None or left > 0:
            job = self._next()
            if job is None:
                break
            rest = job.tokens - job.computed
            new = rest if left is None else min(left, rest)
            pieces.append(Piece(job, job.computed, new))
            job.computed += new
            left = None if left is None else left - new
        self._prefilling = [each for each in self._prefilling if each.computed < each.tokens]
        return pieces

    def _next(self) -> Job | None:
        """Return the first job that is not whole, admitting one if need be."""
        for job in self._prefilling:
            if job.computed < job.tokens:
                return job
        slot = self.take() if self.waiting else None
        if slot is None:
            return None
        job = self.waiting.popleft()
        job.slot = slot
        self._prefilling.append(job)
        return job
