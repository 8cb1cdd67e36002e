"""First step: what comes when. Chance is seeded; seconds count from the beginning."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

PROMPTS = (4096, 6144, 8192, 12288, 16384)
"""Tokens of a long prompt; each is as likely as the others."""


@dataclass(frozen=True)
class Mix:
    """Streams that are there all the time, and long prompts a second that come on top, with tokens of their answers.

    A stream's context goes from `least` to `most` tokens and begins anew: another one takes its place.
    """

    streams: int = 32
    rate: float = 2.0
    answer: int = 256
    least: int = 1024
    most: int = 4096
    prompts: tuple[int, ...] = PROMPTS

    def half(self) -> "Mix":
        """Return what one of two engines gets that share the traffic."""
        return Mix(self.streams // 2, self.rate / 2, self.answer, self.least, self.most, self.prompts)


@dataclass(frozen=True)
class Arrival:
    """A long prompt."""

    at: float
    tokens: int


def arrivals(mix: Mix, seed: int, seconds: float) -> list[Arrival]:
    """Return the long prompts of so many seconds: Poisson arrivals, lengths drawn evenly."""
    return list(_drawn(mix, random.Random(seed), seconds)) if mix.rate else []


def _drawn(mix: Mix, dice: random.Random, seconds: float) -> Iterator[Arrival]:
    at = dice.expovariate(mix.rate)
    while at < seconds:
        yield Arrival(at, dice.choice(mix.prompts))
        at += dice.expovariate(mix.rate)


def begun(mix: Mix, seed: int) -> list[int]:
    """Return the context of each stream at the beginning, spread over what it may be."""
    dice = random.Random(seed)
    return [dice.randrange(mix.least, mix.most) for _ in range(mix.streams)]


def prefilled(arriving: list[Arrival], seconds: dict[int, float]) -> list[tuple[float, Arrival]]:
    """Return when a prefiller of its own, that takes one prompt after the other, is done with each."""
    done, found = 0.0, []
    for each in arriving:
        done = max(done, each.at) + seconds[each.tokens]
        found.append((done, each))
    return found
