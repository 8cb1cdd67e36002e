"""Second step: the simulator's engines under the traffic. A token's time is when its stream could have been sent it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

from bench.gpu.traffic import Arrival, Mix, arrivals, begun
from dpd_sim.clock import Clock
from dpd_sim.core.blocks import BlockPool
from dpd_sim.core.request import Sampling, Sequence
from dpd_sim.core.schedule import Load, Scheduler
from dpd_sim.core.timing import Timing
from dpd_sim.engine import Engine, Machine, Stream
from dpd_sim.log import Log
from dpd_sim.metrics import names
from dpd_sim.metrics.registry import Registry
from dpd_sim.metrics.stats import Stats
from dpd_sim.pd.connector import NoConnector
from dpd_sim.settings import PRESETS

SHAPE, RANKS, BLOCK, TOKENS = PRESETS["llama-3.3-70b"], 8, 16, 1 << 20
TOKEN_BYTES = SHAPE.token_bytes(RANKS, 1, 2)
TIMING = Timing()
MIX = Mix(rate=0.5)
"""Half a long prompt a second: a prefiller of this size is busy with it for six tenths of the time."""
WHOLE = 1 << 20


@dataclass
class Played:
    """Seconds between the tokens of the streams that were there all the time, and to the first of each long prompt.

    `line` are the first stream's: when each token came, and how long after the one before.
    """

    gaps: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    line: list[tuple[float, float]] = field(default_factory=list)


class _Brought(NoConnector):
    """Brings all KV but the last token's of a prompt that was computed elsewhere; the copy is a part of the step."""

    def matched(self, sequence: Sequence, local: int) -> int:
        return len(sequence.prompt) - 1 - local if sequence.kv_params else 0

    async def load(self, loads: list[Load]) -> None:
        for each in loads:
            await _CLOCK.pause(TIMING.retrieve(each.external * TOKEN_BYTES))


_CLOCK = Clock(1.0)


@contextlib.asynccontextmanager
async def _engine(budget: int) -> AsyncIterator[Engine]:
    pool = BlockPool(TOKENS // BLOCK, BLOCK, caching=False)
    machine = Machine(TIMING, _CLOCK.now, _CLOCK.pause, Log(_unsaid, 1), None, recompute=True, publish=_unheard)
    stats = Stats(Registry((*names.VLLM, *names.SIMULATOR), {"model_name": "m", "engine": "0"}), False)
    engine = Engine(Scheduler(pool, 256, budget), _Brought(), machine, stats)
    task = asyncio.ensure_future(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _unsaid(_line: str) -> None:
    """Log nothing."""


def _unheard(_events: object) -> None:
    """Tell nobody of blocks."""


class Traffic:
    """What is asked of the engines: long prompts go to `first`, and their answers come from `last`."""

    def __init__(self, mix: Mix, seed: int, seconds: float, first: Engine, last: Engine) -> None:
        self._mix = mix
        self._seed = seed
        self._seconds = seconds
        self._first = first
        self._last = last
        self._numbers = count()
        self._dice = random.Random(seed)
        self.found = Played()

    async def run(self) -> Played:
        """Run for so many seconds."""
        streams = [self._stream(number, tokens) for number, tokens in enumerate(begun(self._mix, self._seed))]
        prompts = [self._prompt(each) for each in arrivals(self._mix, self._seed, self._seconds)]
        tasks = [asyncio.ensure_future(each) for each in (*streams, *prompts)]
        await asyncio.sleep(self._seconds)
        for each in tasks:
            each.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        return self.found

    def _ask(self, engine: Engine, tokens: int, answer: int, *, brought: bool = False) -> Stream:
        prompt = [self._dice.getrandbits(32) for _ in range(tokens)]
        sampling = Sampling(max_tokens=answer, ignore_eos=True)
        name = str(next(self._numbers))
        params = {"brought": True} if brought else {}
        return engine.submit(Sequence(name, prompt, sampling, params, engine.now()))

    async def _stream(self, number: int, tokens: int) -> None:
        """Be one stream after the other; each begins with its context brought, so that only tokens are looked at."""
        while True:
            stream = self._ask(self._last, tokens, self._mix.most - tokens, brought=True)
            last = None
            for _ in range(self._mix.most - tokens):
                await stream.next()
                now = self._last.now()
                if last is not None:
                    self.found.gaps.append(now - last)
                    if number == 0:
                        self.found.line.append((now, now - last))
                last = now
            tokens = self._mix.least

    async def _prompt(self, arrival: Arrival) -> None:
        await asyncio.sleep(arrival.at)
        apart = self._first is not self._last
        if apart:
            await self._ask(self._first, arrival.tokens, 1).next()
            await _CLOCK.pause(TIMING.transfer(arrival.tokens * TOKEN_BYTES))
        stream = self._ask(self._last, arrival.tokens, self._mix.answer, brought=apart)
        await stream.next()
        self.found.firsts.append(self._last.now() - arrival.at)
        for _ in range(self._mix.answer - 1):
            await stream.next()


async def colocated(mix: Mix, budget: int, seed: int, seconds: float) -> Played:
    """Run one engine that does everything, with so many tokens to a step."""
    async with _engine(budget) as engine:
        return await Traffic(mix, seed, seconds, engine, engine).run()


async def pair(mix: Mix, seed: int, seconds: float) -> Played:
    """Run a prefiller and a decoder."""
    async with _engine(WHOLE) as prefiller, _engine(WHOLE) as decoder:
        return await Traffic(mix, seed, seconds, prefiller, decoder).run()
