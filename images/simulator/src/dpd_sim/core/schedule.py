"""Who gets into the next step: continuous batching with chunked prefill under a token budget."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dpd_sim.core.block_events import BlockEvents
from dpd_sim.core.blocks import BlockPool, block_hashes
from dpd_sim.core.request import Sequence

Matched = Callable[[Sequence, int], int | None]
"""(sequence, tokens cached here) -> further tokens a connector can bring; None: ask again later."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens [before, before + new) of a sequence's prompt, computed in this step."""

    sequence: Sequence
    before: int
    new: int


@dataclass(frozen=True, slots=True)
class Load:
    """Tokens the connector brings for a sequence: `local` were cached here, `external` follow them."""

    sequence: Sequence
    local: int
    external: int


@dataclass(slots=True)
class Plan:
    """One step: what to load, what to prefill, what to decode."""

    loads: list[Load] = field(default_factory=list)
    prefills: list[Piece] = field(default_factory=list)
    decodes: list[Sequence] = field(default_factory=list)
    admitted: list[Sequence] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.prefills or self.decodes)


class Scheduler:
    """Waiting and running sequences, and the blocks the running ones hold."""

    def __init__(self, pool: BlockPool, max_seqs: int, max_batched_tokens: int, events: BlockEvents | None = None):
        self.pool = pool
        self.events = events or BlockEvents()
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0
        self._max_seqs = max_seqs
        self._max_tokens = max_batched_tokens

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.waiting.append(sequence)

    def plan(self, matched: Matched) -> Plan:
        """Choose one step; running sequences come first, then as many waiting ones as fit."""
        plan, budget = Plan(), self._max_tokens
        for sequence in list(self.running):
            if sequence in self.running:
                budget -= self._continue(plan, sequence, budget)
        for sequence in list(self.waiting):
            if budget <= 0 or len(self.running) >= self._max_seqs:
                break
            used = self._admit(plan, sequence, budget, matched)
            if used == 0:
                break
            budget -= used or 0
        return plan

    def remove(self, sequence: Sequence, keep_blocks: bool = False) -> None:
        """Take a finished or aborted sequence out and give its blocks back, unless they are to be kept for a reader."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        if not keep_blocks:
            self.free(sequence)

    def requeue(self, sequence: Sequence) -> None:
        """Send a sequence back to the head of the queue to be computed anew."""
        self.running.remove(sequence)
        self.free(sequence)
        sequence.computed = 0
        self.waiting.appendleft(sequence)

    def done(self, sequence: Sequence, new: int) -> None:
        """Record that `new` more tokens of a sequence are computed, and publish the blocks they fill."""
        sequence.computed += new
        full, begun = min(sequence.computed, len(sequence.prompt)) // self.pool.size, len(sequence.shared)
        for digest in sequence.hashes[len(sequence.shared) : full]:
            if not self.pool.publish(digest):
                break
            sequence.private -= 1
            sequence.shared.append(digest)
        self._tell(sequence, begun)

    def _tell(self, sequence: Sequence, begun: int) -> None:
        """Tell of the blocks from number `begun` on, which can be found since just now."""
        hashes, size = sequence.shared[begun:], self.pool.size
        if hashes:
            tokens = sequence.prompt[begun * size : len(sequence.shared) * size]
            self.events.stored(hashes, sequence.shared[begun - 1] if begun else None, tokens, size)

    def _continue(self, plan: Plan, sequence: Sequence, budget: int) -> int:
        want = min(budget, max(1, sequence.tokens - sequence.computed))
        if want <= 0:
            return 0
        while not self._grow(sequence, sequence.computed + want):
            victim = self.running[-1]
            self.preemptions += 1
            self.requeue(victim)
            if victim is sequence:
                return 0
        if sequence.prefilling:
            plan.prefills.append(Piece(sequence, sequence.computed, want))
        else:
            plan.decodes.append(sequence)
        return want

    def _admit(self, plan: Plan, sequence: Sequence, budget: int, matched: Matched) -> int | None:
        """Tokens of the budget used; 0 when there is no room, None when the sequence waits for its connector."""
        if not sequence.hashes:
            sequence.hashes = block_hashes(sequence.prompt, self.pool.size)
        local = self.pool.cached_tokens(sequence.hashes, len(sequence.prompt))
        external = matched(sequence, local) if sequence.reload else 0
        if external is None:
            return None
        start = local + external
        new = min(budget, sequence.tokens - start)
        hits = sequence.hashes[: local // self.pool.size]
        for digest in hits:
            self.pool.share(digest)
        sequence.shared = hits
        if not self._grow(sequence, start + new):
            self.free(sequence)
            return 0
        self.waiting.remove(sequence)
        self.running.append(sequence)
        sequence.cached, sequence.external, sequence.computed = local, external, start
        plan.admitted.append(sequence)
        if external:
            plan.loads.append(Load(sequence, local, external))
        plan.prefills.append(Piece(sequence, start, new))
        return new

    def _grow(self, sequence: Sequence, tokens: int) -> bool:
        need = -(-tokens // self.pool.size) - sequence.private - len(sequence.shared)
        if need > 0:
            if not self.pool.claim(need):
                return False
            sequence.private += need
        return True

    def free(self, sequence: Sequence) -> None:
        """Give a sequence's blocks back."""
        self.pool.release(sequence.private, sequence.shared)
        sequence.private, sequence.shared = 0, []
