"""Second step: conversations, drawn from a shape. A text is known by its blocks, and a block by its number.

A block is 256 tokens, a page of LMCache's; its number is its text's place in a conversation or in a head, so an equal
number means an equal text from the beginning on.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count

from bench.quality.shapes import Shape
from dpd_router.stages.estimate import CHARACTERS_PER_TOKEN, LEAD_CHARACTERS, estimate
from dpd_router.types import Prompt

BLOCK = 256
MOST_TOKENS = 32_768
_LEAD = -(-LEAD_CHARACTERS // (BLOCK * CHARACTERS_PER_TOKEN))
_ROOM = 1 << 16


@dataclass(frozen=True)
class Turn:
    """One request: tokens of its prompt, of its answer, and the seconds from its answer to the next turn."""

    tokens: int
    answer: int
    pause: float


@dataclass(frozen=True)
class Conversation:
    """What one user says, turn by turn: `head` blocks that others share, then its own."""

    number: int
    head: range
    turns: tuple[Turn, ...]
    session: str

    def blocks(self, turn: int) -> list[int]:
        """Return the numbers of a prompt's whole blocks."""
        whole, shared = self.turns[turn].tokens // BLOCK, len(self.head)
        own = self.number * _ROOM
        return [*self.head[:whole], *range(own, own + max(0, whole - shared))]

    def prompt(self, turn: int, blocks: list[int]) -> Prompt:
        """Return what the router would know of a prompt; a block stands for its tokens in `ids`."""
        session = self.session or f"{self.number}.{turn}"
        return Prompt(self.turns[turn].tokens, self.lead, exact=True, ids=blocks, session=session)

    @cached_property
    def lead(self) -> str:
        """What the router keeps of the beginning: the same for every turn, and no more than begins both texts."""
        own = self.number * _ROOM
        first = self.turns[0].tokens - len(self.head) * BLOCK
        said = [("system", _text(self.head, len(self.head) * BLOCK)), ("user", _text(range(own, own + _LEAD), first))]
        return estimate({"messages": [{"role": role, "content": text} for role, text in said if text]}).lead


def _text(blocks: Sequence[int], tokens: int) -> str:
    """Return the first characters of a text; each block's are its own."""
    characters = BLOCK * CHARACTERS_PER_TOKEN
    written = "".join(f"{block:016x}" * (characters // 16) for block in blocks[:_LEAD])
    return written[: tokens * CHARACTERS_PER_TOKEN]


def conversations(shape: Shape, seed: int, requests: int) -> list[Conversation]:
    """Return conversations with so many requests in all, or a few more; the same for the same seed."""
    dice = random.Random(f"{shape.name}/{seed}")
    heads = _heads(shape, dice)
    weights = list(accumulate(1 / (rank + 1) ** shape.zipf for rank in range(shape.heads)))
    made: list[Conversation] = []
    left = requests
    for number in count(shape.heads + 1):
        if left <= 0:
            return made
        head = dice.choices(heads, cum_weights=weights)[0]
        turns = tuple(_turns(shape, dice, len(head) * BLOCK))
        made.append(Conversation(number, head, turns, str(number) if shape.one_user else ""))
        left -= len(turns)
    return made


def _heads(shape: Shape, dice: random.Random) -> list[range]:
    """Return the blocks of the shared beginnings."""
    sizes = (int(shape.head.draw(dice, MOST_TOKENS)) // BLOCK for _ in range(shape.heads))
    return [range(number * _ROOM, number * _ROOM + size) for number, size in enumerate(sizes)]


def _turns(shape: Shape, dice: random.Random, head: int) -> Iterator[Turn]:
    tokens = head + shape.first.draw(dice)
    while True:
        yield Turn(int(min(tokens, MOST_TOKENS)), int(shape.answer.draw(dice)), shape.pause.draw(dice))
        tokens += shape.growth.draw(dice)
        if dice.random() < 1 / shape.turns:
            return
