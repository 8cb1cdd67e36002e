"""Beside the third step: a model's sizes, and what a token of it weighs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes; these are Llama 3.1 8B's."""

    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    kv_heads: int = 8
    size: int = 128
    inner: int = 14336
    vocabulary: int = 128256

    @property
    def token_bytes(self) -> int:
        """Bytes of KV of one token, with two to a number."""
        return self.layers * 2 * self.kv_heads * self.size * 2
