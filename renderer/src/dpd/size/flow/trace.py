"""What arrives and when: a list of requests, drawn from a rate and lengths with a seed, or given."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: seconds since the beginning, tokens of its prompt, tokens of its answer."""

    at: float
    prompt: int
    answer: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests in a second, tokens of a prompt and of an answer, and the spread of both as a share of the mean."""

    rate: float
    prompt: int
    answer: int
    spread: float = 0.0


def drawn(workload: Workload, count: int, seed: int) -> tuple[Arrival, ...]:
    """Draw `count` requests: they come independently (a Poisson process); lengths are even in the spread."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret, and the same every time
    at, found = 0.0, []
    for _ in range(count):
        at += chance.expovariate(workload.rate)
        lengths = (_length(chance, each, workload.spread) for each in (workload.prompt, workload.answer))
        found.append(Arrival(at, *lengths))
    return tuple(found)


def at_once(prompt: int, answer: int, count: int) -> tuple[Arrival, ...]:
    """Return `count` equal requests that are all there from the beginning."""
    return (Arrival(0.0, prompt, answer),) * count


def _length(chance: random.Random, mean: int, spread: float) -> int:
    return max(1, round(mean * (1 + spread * (2 * chance.random() - 1))))
