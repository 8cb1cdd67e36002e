"""Where the engine's words come from: a next token that depends on nothing but the tokens before it and the seed.

Two engines given the same tokens say the same thing, which is how a test sees that a transfer carried the right KV;
an engine that read a page before it was written says something else.
"""

import hashlib
from collections.abc import Sequence

from dpd_sim.core import tokenizer

_MASK = (1 << 64) - 1
_FIRST = "The A In So Here One When Each This Now"
_WORDS = (
    "the a of and to in that it as for with on by from at is are was be has one two more most each other same such "
    "time page block cache token model engine answer word list part case way rate cost load step node link queue "
    "small large short long early late first last new old clear quick steady simple plain useful right full empty "
    "reads writes holds moves waits starts ends keeps sends takes gives makes finds counts shows leaves turns fills "
    "often never always only also then there here again before after while once less much many some every"
)
_MARKS = ". , ; :"
FIRST = tuple(tokenizer.spell(word) for word in _FIRST.split())
WORDS = tuple(tokenizer.spell(" " + word) for word in _WORDS.split())
MARKS = tuple(tokenizer.spell(mark) for mark in _MARKS.split())
_QUIET = 32
"""Tokens of a turn before an end of sequence may come."""


class State:
    """What the next token depends on: a hash of the sequence so far, its last token, tokens since the turn began."""

    __slots__ = ("_hash", "draw", "last", "since_turn")

    def __init__(self, running: "hashlib.blake2b", last: int, since_turn: int):
        self._hash = running
        self.draw = int.from_bytes(running.digest(), "little")
        self.last = last
        self.since_turn = since_turn

    def after(self, token: int) -> "State":
        """Return the state one token later."""
        running = self._hash.copy()
        running.update(token.to_bytes(8, "little", signed=True))
        return State(running, token, 0 if _special(token) else self.since_turn + 1)

    def garbled(self) -> "State":
        """Return the state of an engine whose KV is not that of its tokens."""
        running = self._hash.copy()
        running.update(b"garbled")
        return State(running, self.last, self.since_turn)


def start(prompt: Sequence[int], seed: int) -> State:
    """State after a prompt, for a sampling seed (0 when greedy)."""
    running = hashlib.blake2b(seed.to_bytes(16, "little", signed=True), digest_size=8)
    running.update(b"".join(token.to_bytes(8, "little", signed=True) for token in prompt))
    since = next((at for at, token in enumerate(reversed(prompt)) if _special(token)), len(prompt))
    return State(running, prompt[-1] if prompt else tokenizer.BEGIN, since)


def _special(token: int) -> bool:
    return 0 <= token < len(tokenizer.SPECIALS)


def next_token(state: State, answer_tokens: int, rank: int = 0) -> int:
    """The token after a state; `rank` 1, 2, … gives the runners-up that logprobs list.

    An answer ends by itself after about `answer_tokens` tokens beyond the first few; 0 means never.
    """
    draw = _mix(state.draw, 0xD1B5 + rank)
    if rank == 0 and answer_tokens and state.since_turn > _QUIET and draw % answer_tokens == 0:
        return tokenizer.EOS
    if state.last < len(tokenizer.SPECIALS) or (state.since_turn <= 1 and state.last not in WORDS):
        return FIRST[(draw >> 8) % len(FIRST)]
    if state.last not in MARKS and (draw >> 20) % 9 == 0:
        return MARKS[(draw >> 8) % len(MARKS)]
    return WORDS[(draw >> 8) % len(WORDS)]


def logprob(state: State, rank: int) -> float:
    """A plausible log probability of the token of that rank, the same on every engine."""
    return -round((_mix(state.draw, 77) % 1000) / 2000 + 1.5 * rank, 4) - 1e-4


def _mix(value: int, extra: int) -> int:
    value = (value ^ (extra * 0xBF58476D1CE4E5B9)) & _MASK
    value = ((value ^ (value >> 30)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def fingerprint(text: str) -> str:
    """A short stable name of a text, for ids that tests may compare."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
