"""What is asked: prompts of every size, each unlike the others from its first words on."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

_fresh = itertools.count(1)
Tokens = Callable[[int], list[int]]


def text(sentences: int) -> str:
    """A prompt never asked before, of 48 characters and more for each sentence."""
    number = next(_fresh)
    return f"case {number}: " + " ".join(
        f"def f{number}_{each}(self, value{each}): return value{each} + {number * each % 7}"
        for each in range(sentences)
    )


def tokens(vocabulary: Sequence[int]) -> Tokens:
    """What makes prompts of exactly so many token ids, never asked before, out of a vocabulary."""

    def make(count: int) -> list[int]:
        choose = random.Random(next(_fresh))
        return [choose.choice(vocabulary) for _ in range(count)]

    return make


def sizes(count: int, longest: int) -> Iterator[int]:
    """`count` prompt lengths from 1 to `longest` tokens, each a constant factor more than the one before."""
    for each in range(count):
        yield max(each + 1, round(longest ** (each / (count - 1))))
