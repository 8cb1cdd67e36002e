"""The clock of the simulation: arrivals, ends of steps and lost patience in their order, and what each brings about."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from dpd.pages import PAGE_TOKENS
from dpd.size.buffer import ESTIMATED_BYTES_PER_TOKEN, reserved_pages
from dpd.size.flow.engine import Engine, Job
from dpd.size.flow.trace import Arrival

ROOM_SECONDS = 5.0  # how long the router lets a request wait for pages


@dataclass(frozen=True, slots=True)
class Router:
    """What decides a request's way. pages: of one decoder's buffer, None for no limit; exact: it counts tokens."""

    threshold: int
    pages: int | None
    bytes_per_token: float = ESTIMATED_BYTES_PER_TOKEN
    exact: bool = False
    room_seconds: float = ROOM_SECONDS

    def reserve(self, tokens: int) -> int:
        """Pages to reserve for a prompt before it is computed; what would not fit by its bytes is counted."""
        exact, by_bytes = reserved_pages(tokens), reserved_pages(int(tokens * self.bytes_per_token))
        return exact if self.exact or (self.pages is not None and by_bytes > self.pages) else by_bytes


@dataclass(slots=True)
class Record:
    """One request's times in seconds, and why it went the way it did. None: it never came to that."""

    arrival: Arrival
    reason: str = ""
    prefilled: float | None = None
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class _Decoder:
    engine: Engine
    used: int = 0
    most: int = 0
    open: int = 0
    queue: deque[tuple[int, int]] = field(default_factory=deque)


class System:
    """Prefillers and decoders (none of the former: every decoder computes its prompts itself) behind a router."""

    def __init__(self, prefillers: Sequence[Engine], decoders: Sequence[Engine], router: Router) -> None:
        """Take engines that nothing has been asked of yet."""
        self.now = 0.0
        self.records: list[Record] = []
        self.most_pages = 0
        self._router = router
        self._prefillers = list(prefillers)
        self._decoders = [_Decoder(each) for each in decoders]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._held: dict[int, tuple[_Decoder, int]] = {}
        self._home: dict[int, _Decoder] = {}

    def run(self, trace: Sequence[Arrival]) -> list[Record]:
        """Let a trace pass through to its end; return what became of each request, in its order."""
        for index, arrival in enumerate(trace):
            self.records.append(Record(arrival))
            self._at(arrival.at, partial(self._arrive, index))
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.most_pages = max(each.most for each in self._decoders)
        return self.records

    def _at(self, time: float, event: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (time, self._order, event))

    def _arrive(self, index: int) -> None:
        record, router = self.records[index], self._router
        decoder = min(self._decoders, key=lambda each: each.open)
        decoder.open += 1
        self._home[index] = decoder
        pages = router.reserve(record.arrival.prompt)
        if not self._prefillers:
            self._direct(index, "colocated")
        elif record.arrival.prompt < router.threshold:
            self._direct(index, "short")
        elif router.pages is not None and pages > router.pages:
            self._direct(index, "never_fits")
        elif not decoder.queue and self._fits(decoder, pages):
            self._prefill(index, decoder, pages)
        else:
            decoder.queue.append((index, pages))
            self._at(self.now + router.room_seconds, partial(self._give_up, index, decoder))

    def _fits(self, decoder: _Decoder, pages: int) -> bool:
        return self._router.pages is None or decoder.used + pages <= self._router.pages

    def _give_up(self, index: int, decoder: _Decoder) -> None:
        waiting = [each for each in decoder.queue if each[0] == index]
        if waiting:
            decoder.queue.remove(waiting[0])
            self._direct(index, "buffer_full")
            self._let_in(decoder)

    def _direct(self, index: int, reason: str) -> None:
        record = self.records[index]
        record.reason = reason
        self._ask(self._home[index].engine, Job(index, record.arrival.prompt, record.arrival.answer))

    def _prefill(self, index: int, decoder: _Decoder, pages: int) -> None:
        self.records[index].reason = "threshold"
        decoder.used += pages
        decoder.most = max(decoder.most, decoder.used)
        self._held[index] = (decoder, pages)
        chosen = min(self._prefillers, key=lambda each: each.jobs)
        self._ask(chosen, Job(index, self.records[index].arrival.prompt, 1))

    def _keep(self, index: int, pages: int) -> None:
        """Give back all but `pages` of what a request reserved, and let in who waits."""
        if index in self._held:
            decoder, held = self._held.pop(index)
            decoder.used -= max(0, held - pages)
            if pages:
                self._held[index] = (decoder, min(held, pages))
            self._let_in(decoder)

    def _let_in(self, decoder: _Decoder) -> None:
        while decoder.queue and self._fits(decoder, decoder.queue[0][1]):
            self._prefill(*self._next(decoder))

    def _next(self, decoder: _Decoder) -> tuple[int, _Decoder, int]:
        index, pages = decoder.queue.popleft()
        return index, decoder, pages

    def _ask(self, engine: Engine, job: Job) -> None:
        engine.waiting.append(job)
        if not engine.working:
            self._work(engine)

    def _work(self, engine: Engine) -> None:
        seconds = engine.begin()
        engine.working = seconds is not None
        if seconds is not None:
            self._at(self.now + seconds, partial(self._done, engine))

    def _done(self, engine: Engine) -> None:
        is_prefiller = engine in self._prefillers
        for job in engine.end():
            if is_prefiller:
                self._hand_over(job)
            else:
                self._token(job)
        self._work(engine)

    def _hand_over(self, job: Job) -> None:
        record, decoder = self.records[job.index], self._home[job.index]
        record.prefilled = self.now
        self._keep(job.index, job.prompt // PAGE_TOKENS + 1)
        self._ask(decoder.engine, Job(job.index, job.prompt, record.arrival.answer, brought=job.prompt))

    def _token(self, job: Job) -> None:
        record = self.records[job.index]
        if record.first is None:
            record.first = self.now
            self._keep(job.index, 0)
        if job.made >= job.wanted:
            record.last = self.now
            self._home[job.index].open -= 1
