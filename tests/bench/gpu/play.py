"""Fourth step: one engine under the traffic, on the wall's clock. What comes while a step runs waits for its end."""

import time
from collections import deque
from dataclasses import dataclass, field

from bench.gpu.link import Link
from bench.gpu.model import Model
from bench.gpu.schedule import Batch, Job, Piece
from bench.gpu.traffic import Arrival, Mix


@dataclass
class Played:
    """What was found, in seconds. `gaps` are between the tokens of the streams that were there all the time.

    `line` are the first stream's tokens: when each came, and how long after the one before. A step is its seconds, the
    tokens that decoded and the prompt tokens that it computed.
    """

    gaps: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    line: list[tuple[float, float]] = field(default_factory=list)
    steps: list[tuple[float, int, int]] = field(default_factory=list)


class Engine:
    """The streams have the first slots, long prompts those that `batch` gives; with a link their KV comes over it."""

    def __init__(self, model: Model, mix: Mix, batch: Batch, link: Link | None = None) -> None:
        self._model = model
        self._mix = mix
        self._batch = batch
        self._link = link
        self._lengths: list[int | None] = [None] * len(model.slots)
        self._left: dict[int, int] = {}
        self._last: dict[int, float] = {}
        self._began: dict[int, float] = {}
        self._pending: deque[Job] = deque()
        self._coming: Job | None = None

    def play(self, begun: list[int], due: list[tuple[float, Arrival]], seconds: float) -> Played:
        """Run for so many seconds. `due` says when a prompt is here, or over there done and to be fetched."""
        found, coming = Played(), deque(due)
        self._lengths[: len(begun)] = begun
        start = time.perf_counter()
        now = 0.0
        while now < seconds:
            while coming and coming[0][0] <= now:
                self._arrived(coming.popleft()[1])
            self._bring()
            decoding = sum(each is not None for each in self._lengths)
            pieces = self._batch.plan(decoding)
            self._model.step(self._lengths, pieces)
            end = time.perf_counter() - start
            found.steps.append((end - now, decoding, sum(each.new for each in pieces)))
            self._count(found, end)
            self._finish(found, end, pieces)
            now = end
        return found

    def _arrived(self, arrival: Arrival) -> None:
        job = Job(arrival.at, arrival.tokens)
        (self._pending if self._link else self._batch.waiting).append(job)

    def _bring(self) -> None:
        """Take what the link has written, if there is a slot, and begin the next transfer."""
        link = self._link
        if link is None:
            return
        slot = self._batch.take() if self._coming and link.idle else None
        if self._coming and slot is not None:
            link.receive(slot, self._coming.tokens)
            self._lengths[slot], self._left[slot] = self._coming.tokens - 1, self._mix.answer
            self._began[slot] = self._coming.arrived
            self._coming = None
        if self._coming is None and self._pending:
            self._coming = self._pending.popleft()
            link.begin(self._coming.tokens)

    def _count(self, found: Played, end: float) -> None:
        """Note the token of every slot that decoded."""
        for slot, length in enumerate(self._lengths):
            if length is None:
                continue
            if slot in self._last and slot < self._mix.streams:
                found.gaps.append(end - self._last[slot])
                if slot == 0:
                    found.line.append((end, end - self._last[slot]))
            elif slot in self._began:
                found.firsts.append(end - self._began.pop(slot))
            self._last[slot] = end
            self._lengths[slot] = self._next(slot, length)

    def _next(self, slot: int, length: int) -> int | None:
        if slot < self._mix.streams:
            return length + 1 if length + 1 < self._mix.most else self._mix.least
        self._left[slot] -= 1
        if self._left[slot]:
            return length + 1
        self._batch.give(slot)
        return None

    def _finish(self, found: Played, end: float, pieces: list[Piece]) -> None:
        """Note the first token of every prompt that is whole now."""
        for each in pieces:
            if each.last:
                found.firsts.append(end - each.job.arrived)
                self._lengths[each.job.slot], self._left[each.job.slot] = each.job.tokens, self._mix.answer - 1
