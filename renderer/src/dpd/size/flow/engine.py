"""One engine: who gets into its next step, and how long that takes. Continuous batching, chunked prefill, preemption.

Running sequences come first, then as many waiting ones as fit the step's tokens, the batch and the KV cache. What a
transfer brings is copied in at admission, and the prompt's last token is computed again, as on a real decoder.
"""

from collections import deque
from dataclasses import dataclass, field

from dpd.pages import PAGE_TOKENS
from dpd.size.flow.costs import Costs

_BLOCK = 16


@dataclass(slots=True)
class Job:
    """One request at one engine. brought: tokens of KV that wait in its buffer; wanted: tokens it shall make."""

    index: int
    prompt: int
    wanted: int
    brought: int = 0
    computed: int = 0
    made: int = 0
    blocks: int = 0
    stored: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompt and answer so far."""
        return self.prompt + self.made

    @property
    def prefilling(self) -> bool:
        """Whether more than the newest token is still to be computed."""
        return self.computed < self.tokens - 1 or not self.made


@dataclass(frozen=True, slots=True)
class Limits:
    """An engine's own: sequences and tokens of a step, tokens of its KV cache, bytes of one token on a rank.

    sends: it pushes what it computes to another engine before the step ends.
    """

    sequences: int
    batched: int
    tokens: int
    token_bytes: int
    sends: bool = False


@dataclass(slots=True)
class _Step:
    pieces: list[tuple[Job, int, int]] = field(default_factory=list)
    decodes: list[Job] = field(default_factory=list)
    loads: int = 0


class Engine:
    """Waiting and running jobs. `busy` counts the seconds of its steps; `preempted` how often a job lost its room."""

    def __init__(self, limits: Limits, costs: Costs) -> None:
        """Take what it may do at once and what that costs."""
        self.waiting: deque[Job] = deque()
        self.running: list[Job] = []
        self.busy = 0.0
        self.preempted = 0
        self.working = False
        self._limits = limits
        self._costs = costs
        self._free = limits.tokens // _BLOCK
        self._step = _Step()

    @property
    def jobs(self) -> int:
        """Jobs that wait or run."""
        return len(self.waiting) + len(self.running)

    def begin(self) -> float | None:
        """Choose the next step and return its seconds; None when there is nothing to do."""
        self._step = step = _Step()
        budget, before = self._limits.batched, self.preempted
        for job in tuple(self.running):
            if self.preempted == before or job in self.running:
                budget -= self._go_on(step, job, budget)
        while self.waiting and budget > 0 and len(self.running) < self._limits.sequences:
            used = self._admit(step, budget)
            if not used:
                break
            budget -= used
        if not step.pieces and not step.decodes:
            return None
        seconds = self._seconds(step)
        self.busy += seconds
        return seconds

    def end(self) -> list[Job]:
        """Carry the step out; return the jobs that made a token in it. Who has made all it wanted is out already."""
        made = []
        for job, _, new in self._step.pieces:
            job.computed += new
            if job.computed >= job.tokens:
                made.append(job)
        for job in self._step.decodes:
            job.computed += 1
            made.append(job)
        for job in made:
            job.made += 1
            if job.made >= job.wanted:
                self._leave(job)
        return made

    def _seconds(self, step: _Step) -> float:
        context = sum(job.tokens for job in step.decodes)
        pieces = [(new, before) for _, before, new in step.pieces]
        page = PAGE_TOKENS * self._limits.token_bytes
        seconds = self._costs.forward(pieces, len(step.decodes), context)
        seconds += step.loads * page / self._costs.retrieve_bytes_per_second
        if self._limits.sends:
            pages = sum(self._stored(job, before + new) for job, before, new in step.pieces)
            seconds += pages * page / self._costs.transfer_bytes_per_second
        return seconds

    def _stored(self, job: Job, done: int) -> int:
        """Pages that are full by now and were not before; at the prompt's end the last one counts as it is."""
        full = -(-done // PAGE_TOKENS) if done >= job.prompt else done // PAGE_TOKENS
        new, job.stored = full - job.stored, full
        return new

    def _go_on(self, step: _Step, job: Job, budget: int) -> int:
        rest = job.prompt + job.made - job.computed
        if rest == 1 and budget > 0 and job.made and job.computed < job.blocks * _BLOCK:
            step.decodes.append(job)  # one more token, and room for it: what happens nearly always
            return 1
        want = min(budget, max(1, rest))
        if want <= 0:
            return 0
        while not self._grow(job, job.computed + want):
            victim = self.running[-1]
            self.preempted += 1
            self._requeue(victim)
            if victim is job:
                return 0
        if job.prefilling:
            step.pieces.append((job, job.computed, want))
        else:
            step.decodes.append(job)
        return want

    def _admit(self, step: _Step, budget: int) -> int:
        """Tokens of the step used; 0 when there is no room."""
        job = self.waiting[0]
        start = min(job.brought, job.tokens - 1)
        new = min(budget, job.tokens - start)
        if not self._grow(job, start + new):
            return 0
        self.waiting.popleft()
        self.running.append(job)
        step.loads += -(-job.brought // PAGE_TOKENS)
        job.brought, job.computed = 0, start
        step.pieces.append((job, start, new))
        return new

    def _grow(self, job: Job, tokens: int) -> bool:
        need = -(-tokens // _BLOCK) - job.blocks
        if need > self._free:
            return False
        if need > 0:
            self._free -= need
            job.blocks += need
        return True

    def _requeue(self, job: Job) -> None:
        self._leave(job)
        job.computed = job.stored = 0
        self.waiting.appendleft(job)

    def _leave(self, job: Job) -> None:
        self.running.remove(job)
        self._free += job.blocks
        job.blocks = 0
