"""Where the engine's words come from: a next token that depends on nothing but the tokens before it and the seed.

Two engines given the same tokens say the same thing, which is how a test sees that a transfer carried the right KV;
an engine that read a page before it was written says something else.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class State:
    """What the next token depends on: a rolling hash of the sequence, its last token, tokens since the turn began."""

    digest: int
    last: int = tokenizer.BEGIN
    since_turn: int = 0

    def after(self, token: int) -> "State":
        """Return the state one token later."""
        since = 0 if 0 <= token < len(tokenizer.SPECIALS) else self.since_turn + 1
        return State(_mix(self.digest, token), token, since)

    def garbled(self) -> "State":
        """Return the state of an engine whose KV is not that of its tokens."""
        return replace(self, digest=_mix(self.digest, 0x6A5B))


def start(prompt: Iterable[int], seed: int) -> State:
    """State after a prompt, for a sampling seed (0 when greedy)."""
    state = State(_mix(0x9E3779B97F4A7C15, seed))
    for token in prompt:
        state = state.after(token)
    return state


def next_token(state: State, answer_tokens: int, rank: int = 0) -> int:
    """The token after a state; `rank` 1, 2, … gives the runners-up that logprobs list.

    An answer ends by itself after about `answer_tokens` tokens beyond the first few; 0 means never.
    """
    draw = _mix(state.digest, 0xD1B5 + rank)
    if rank == 0 and answer_tokens and state.since_turn > _QUIET and draw % answer_tokens == 0:
        return tokenizer.EOS
    if state.last < len(tokenizer.SPECIALS) or (state.since_turn <= 1 and state.last not in WORDS):
        return FIRST[(draw >> 8) % len(FIRST)]
    if state.last not in MARKS and (draw >> 20) % 9 == 0:
        return MARKS[(draw >> 8) % len(MARKS)]
    return WORDS[(draw >> 8) % len(WORDS)]


def logprob(state: State, rank: int) -> float:
    """A plausible log probability of the token of that rank, the same on every engine."""
    return -round((_mix(state.digest, 77) % 1000) / 2000 + 1.5 * rank, 4) - 1e-4


def _mix(value: int, extra: int) -> int:
    value = (value ^ (extra * 0xBF58476D1CE4E5B9)) & _MASK
    value = ((value ^ (value >> 30)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def fingerprint(text: str) -> str:
    """A short stable name of a text, for ids that tests may compare."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
