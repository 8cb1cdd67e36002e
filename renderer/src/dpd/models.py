"""What a model's KV takes: the one table of well-known dense models, and the strict reading of a model's name.

A name counts only when nothing but a known ending follows family and size: a fine-tune may well have another shape, and
a wrong figure is worse than none. Checkpoints in FP8 may bring KV in FP8; two bytes counted for them err towards less.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """One family and size: its name, layers, KV heads, and values per head."""

    name: str
    layers: int
    kv_heads: int
    head_dim: int

    def bytes_per_token(self, ranks: int, value_bytes: int) -> int:
        """Bytes of keys and values of one token on one of `ranks` tensor-parallel ranks."""
        # A head is never cut: with more ranks than heads each rank holds one, a copy.
        heads = -(-self.kv_heads // ranks)
        return self.layers * 2 * heads * self.head_dim * value_bytes


_ENDINGS = r"(?:-(?:instruct|chat|base|it|hf|bf16|fp16|fp8|dynamic|awq|gptq|int4|int8|w4a16|w8a8|quantized))*"
_LLAMA = r"(?:meta-)?llama-?3(?:-[013])?"
_KNOWN: tuple[tuple[re.Pattern[str], Shape], ...] = tuple(
    (re.compile(head + _ENDINGS), shape)
    for head, shape in (
        (rf"{_LLAMA}-8b", Shape("Llama 3 8B", 32, 8, 128)),
        (rf"{_LLAMA}-70b", Shape("Llama 3 70B", 80, 8, 128)),
        (r"(?:meta-)?llama-?3-1-405b", Shape("Llama 3.1 405B", 126, 8, 128)),
        (r"qwen-?2-5-32b", Shape("Qwen2.5 32B", 64, 8, 128)),
        (r"qwen-?2-5-72b", Shape("Qwen2.5 72B", 80, 8, 128)),
        (r"qwen-?3-32b", Shape("Qwen3 32B", 64, 8, 128)),
        (r"mistral-large(?:-instruct)?-(?:2407|2411)", Shape("Mistral Large 2", 88, 8, 128)),
    )
)
_SEPARATORS = re.compile(r"[._-]+")
_LONGEST = 200


def shape_of(names: Iterable[str]) -> Shape | None:
    """Return the shape that `names` (of one model: names, paths, organisation/model) agree on; None when unknown."""
    parts = {part for name in names for part in name[:_LONGEST].split("/")}
    plain = {_SEPARATORS.sub("-", part.casefold()) for part in parts}
    found = {shape for part in plain for pattern, shape in _KNOWN if pattern.fullmatch(part)}
    return found.pop() if len(found) == 1 else None
