"""How cost grows, its first step: workers that only the router sees, and what one decision among them takes.

A decision is all that the router does to learn where a request goes, and to count it in, and out again once as many
others have come as there are workers: so each has one request on the average. Prompts are made from their number, and
none is kept.
"""

import sys
from collections import deque
from contextlib import ExitStack
from types import FrameType
from typing import Any

from dpd_router.chooser import Chooser
from dpd_router.ledger import Buffers
from dpd_router.pool import Address, Pool, Role, Worker
from dpd_router.strategies import KVAWARE, Strategy, strategy_named
from dpd_router.strategies.kvaware import KvAware
from dpd_router.types import Policy, Prompt

MOST_BLOCKS = 1_000_000
"""What the router's own default is."""
BLOCK, IDS = 16, 128
TEXT = "the quick brown fox jumps over the lazy dog, " * 50
POLICY = Policy(threshold=0, invocation="/v1/chat/completions")


class Fleet:
    """A pool of so many workers and a strategy over them; with `pd`, half are prefillers and half decoders."""

    def __init__(self, strategy: str, workers: int, *, pd: bool = False, most_blocks: int = MOST_BLOCKS) -> None:
        self.pool = Pool("bench", Buffers(pages=1 << 20) if pd else None)
        self.chooser = Chooser(
            self.pool,
            POLICY,
            strategy,
            {role: _made("leastload" if role is Role.DECODE else strategy, most_blocks) for role in Role},
        )
        self.pd = pd
        self._under_way: deque[ExitStack] = deque()
        for role, made in self.chooser.strategies.items():
            self.pool.watch(role, made)
        for role in (Role.PREFILL, Role.DECODE) if pd else (Role.WORKER,):
            self._people(role, workers // 2 if pd else workers)
        self.room = workers // 2 if pd else workers

    def _people(self, role: Role, count: int) -> None:
        self.pool.sync(role, set(addresses(role, count)))
        *others, last = [each for each in self.pool.all() if each.address.role is role]
        for each in others:
            each.up = True  # with one look at all of them, and not one for each
        self.pool.mark_up(last)

    def decide(self, prompt: Prompt) -> Worker:
        """Decide for one request, and end the oldest one when there are enough; return who computes the prompt."""
        taken = ExitStack()
        self.chooser.outlook(prompt)
        answers = self.chooser.answering(prompt, 1, self.pool.reads(None, paired=self.pd))
        computes = taken.enter_context(self.pool.flight(answers, prompt.tokens))
        if self.pd:
            for each in self.chooser.prefillers(prompt, 2, self.pool.read_by(answers))[:1]:
                computes = taken.enter_context(self.pool.flight(each, prompt.tokens))
        self._under_way.append(taken)
        if len(self._under_way) > self.room:
            self._under_way.popleft().close()
        return computes

    def tell(self, worker: Worker, prompt: Prompt) -> None:
        """Let a worker tell, as an engine would, that it has computed a prompt; only kvaware listens."""
        for made in self.chooser.strategies.values():
            match made:
                case KvAware():
                    hashes = [hash((*prompt.ids[:2], number)) for number in range(len(prompt.ids) // BLOCK)]
                    made.index.stored(worker, hashes, None, prompt.ids, BLOCK)


def addresses(role: Role, count: int) -> list[Address]:
    """Return so many addresses of a role, with the ports that decoders have."""
    inits, allocs = ((7300,), (7400,)) if role is Role.DECODE else ((), ())
    hosts = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count))
    return [Address(role, host, 8081, inits, allocs, revision="r") for host in hosts]


def prompt_of(number: int, *, ids: bool) -> Prompt:
    """Return a prompt that begins as no other number's does; `ids`: with its tokens, which is what kvaware wants."""
    tokens = [number & 0xFFFF, number >> 16, *range(IDS - 2)] if ids else ()
    return Prompt(IDS, f"{number:x} {TEXT}", ids=tokens, session=f"session-{number}")


def operations(fleet: Fleet, prompt: Prompt) -> int:
    """Return how many instructions of Python one decision takes: a count that no other load changes."""
    found = 0

    def count(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal found
        frame.f_trace_opcodes = True
        found += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        fleet.decide(prompt)
    finally:
        sys.settrace(before)
    return found


def _made(name: str, most_blocks: int) -> Strategy[Worker]:
    return KvAware(most_blocks) if name == KVAWARE else strategy_named(name)
