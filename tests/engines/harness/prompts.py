"""What is asked: prompts of every size, each unlike the others from its first words on."""

import itertools
import random
from collections.abc import Iterator

VOCABULARY = range(300, 2000)
"""Token ids of ordinary text in the tiny tokenizer: no control tokens, no single bytes."""

_fresh = itertools.count(1)


def text(sentences: int) -> str:
    """A prompt never asked before, of about 25 tokens and 48 characters for each sentence."""
    number = next(_fresh)
    return f"case {number}: " + " ".join(
        f"def f{number}_{each}(self, value{each}): return value{each} + {number * each % 7}"
        for each in range(sentences)
    )


def tokens(count: int) -> list[int]:
    """A prompt of exactly `count` tokens, never asked before."""
    choose = random.Random(next(_fresh))
    return [choose.choice(VOCABULARY) for _ in range(count)]


def sizes(count: int, longest: int) -> Iterator[int]:
    """`count` prompt lengths from 1 to `longest` tokens, each a constant factor more than the one before."""
    for each in range(count):
        yield max(each + 1, round(longest ** (each / (count - 1))))
