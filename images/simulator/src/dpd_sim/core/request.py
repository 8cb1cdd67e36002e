"""A sequence in the engine: what was asked, how far it is, and the transfer it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dpd_sim.core import tokenizer
from dpd_sim.core.blocks import BlockHash
from dpd_sim.core.text import State, next_token, start

Finish = Literal["stop", "length", "abort"]
TAG = "lmcache.tag."


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling parameters this engine honours, checked already."""

    max_tokens: int
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    salt: int = 0
    answer_tokens: int = 0
    forced: tuple[int, ...] = ()
    """Tokens the answer must consist of (a forced tool call), ended by an end of sequence."""


@dataclass(slots=True)
class Sequence:
    """One request's tokens and progress; `prompt` is what the connector and the scheduler see."""

    request_id: str
    prompt: list[int]
    sampling: Sampling
    kv_params: Mapping[str, Any]
    arrived: float
    output: list[int] = field(default_factory=list)
    computed: int = 0
    """Tokens whose KV lies in the paged cache."""
    external: int = 0
    cached: int = 0
    state: State | None = None
    garbled: bool = False
    text: str = ""
    finish: Finish | None = None
    stop_reason: str | int | None = None
    result_kv: dict[str, Any] | None = None
    hashes: list[BlockHash] = field(default_factory=list)
    private: int = 0
    shared: list[BlockHash] = field(default_factory=list)
    admitted: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    reload: bool = True
    """Whether the connector may be asked again; false after a failed load."""

    @property
    def tags(self) -> dict[str, str]:
        """The cache tags of the request, without their prefix."""
        return {k[len(TAG) :]: str(v) for k, v in self.kv_params.items() if k.startswith(TAG)}

    @property
    def tokens(self) -> int:
        """Tokens of prompt and output."""
        return len(self.prompt) + len(self.output)

    @property
    def prefilling(self) -> bool:
        """Whether more than the newest token is still to be computed."""
        return self.computed < self.tokens - 1 or not self.output

    def sequence(self) -> list[int]:
        """Prompt and output tokens."""
        return self.prompt + self.output

    def begin(self) -> State:
        """The state the next token will be drawn from."""
        if self.state is None:
            fresh = start(self.prompt, self.sampling.salt)
            self.state = fresh.garbled() if self.garbled else fresh
        return self.state

    def advance(self) -> int:
        """Sample the next token, append it, and finish the sequence when it is the last."""
        state = self.begin()
        token = self._choose(state)
        self.state = state.after(token)
        self.output.append(token)
        self.text += tokenizer.piece(token)
        self._end(token)
        return token

    def _choose(self, state: State) -> int:
        at, wanted = len(self.output), self.sampling
        if wanted.forced:
            return wanted.forced[at] if at < len(wanted.forced) else tokenizer.EOS
        token = next_token(state, wanted.answer_tokens)
        if token == tokenizer.EOS and (wanted.ignore_eos or at < wanted.min_tokens):
            return next_token(state, 0)
        return token

    def _end(self, token: int) -> None:
        wanted, count = self.sampling, len(self.output)
        early = count < wanted.min_tokens
        if token == tokenizer.EOS and not wanted.ignore_eos:
            self.finish = "stop"
        elif token in wanted.stop_token_ids and not early:
            self.finish, self.stop_reason = "stop", token
        elif not early and (found := self._stop_string()):
            self.finish, self.stop_reason = "stop", found
            self.text = self.text[: self.text.index(found)]
        elif count >= wanted.max_tokens:
            self.finish = "length"

    def _stop_string(self) -> str | None:
        hits = [(self.text.index(stop), stop) for stop in self.sampling.stop if stop in self.text]
        return min(hits)[1] if hits else None

    def safe_text(self) -> str:
        """Text that can be sent on: what might turn out to be the head of a stop string is held back."""
        if self.finish or not self.sampling.stop:
            return self.text
        held = max(len(stop) for stop in self.sampling.stop) - 1
        return self.text[: max(0, len(self.text) - held)]
