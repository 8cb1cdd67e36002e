"""What a model's shape means in bytes: its KV per token on one rank, its weights on one rank. Pure arithmetic.

Bytes are those of the tensors themselves; what an engine needs beside them is `memory`'s business.
"""

from dataclasses import dataclass


class RefusedError(Exception):
    """A model, a flag or a size that is not counted, for a wrong figure is worse than none.

    path: where it is written; fact and remedy: what is the case, and what to do about it.
    """

    def __init__(self, path: str, fact: str, remedy: str) -> None:
        """Take the three parts of the sentence."""
        super().__init__(f"{path}: {fact}; {remedy}")


@dataclass(frozen=True, slots=True)
class Split:
    """How an engine cuts a model: into tensor-parallel ranks and pipeline-parallel stages, a GPU for each."""

    tensor: int = 1
    pipeline: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one engine."""
        return self.tensor * self.pipeline


@dataclass(frozen=True, slots=True)
class Cache:
    """What is kept of a token: a head's keys and values, or with MLA (`latent` above 0) one compressed row.

    layers: those that keep any; heads: query heads, kv_heads: of keys and values; head_dim: values of one head; latent:
    values of the compressed row; windowed: how many of the layers look back `window` tokens and no further.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    latent: int = 0
    windowed: int = 0
    window: int = 0

    @property
    def kind(self) -> str:
        """The attention's name: MLA, MHA, MQA or GQA."""
        if self.latent:
            return "MLA"
        if self.kv_heads == self.heads:
            return "MHA"
        return "MQA" if self.kv_heads == 1 else "GQA"

    def check(self, split: Split) -> None:
        """Raise RefusedError when an engine could not cut the heads like that."""
        where = "--tensor-parallel-size"
        if self.heads % split.tensor:
            fact = f"{self.heads} attention heads cannot be dealt to {split.tensor} ranks alike"
            raise RefusedError(where, fact, "use a divisor of the heads, as the engine demands")
        if not self.latent and self.kv_heads % split.tensor and split.tensor % self.kv_heads:
            fact = f"{self.kv_heads} KV heads can neither be dealt to nor copied for {split.tensor} ranks"
            raise RefusedError(where, fact, "use a divisor or a multiple of the KV heads, as the engine demands")

    def heads_per_rank(self, split: Split) -> int:
        """KV heads on one rank; a head is never cut, so with more ranks than heads each holds one, a copy."""
        return max(1, self.kv_heads // split.tensor)

    def layer_bytes(self, split: Split, value_bytes: int) -> int:
        """Bytes of one token in one layer of one rank. MLA's row cannot be cut: every rank holds it whole."""
        if self.latent:
            return self.latent * value_bytes
        return 2 * self.heads_per_rank(split) * self.head_dim * value_bytes

    def token_bytes(self, split: Split, value_bytes: int) -> int:
        """Bytes of one token on one rank, in all its layers: what is transferred, and what is allocated for it."""
        return -(-self.layers // split.pipeline) * self.layer_bytes(split, value_bytes)

    def sequence_bytes(self, tokens: int, split: Split, value_bytes: int, *, whole: bool) -> int:
        """Bytes of a sequence of `tokens` on one rank.

        whole: windowed layers keep all of it too, as under a KV connector; otherwise they keep their window.
        """
        if whole or not self.windowed:
            return tokens * self.token_bytes(split, value_bytes)
        layer = self.layer_bytes(split, value_bytes)
        everything = -(-(self.layers - self.windowed) // split.pipeline) * tokens
        return layer * (everything + -(-self.windowed // split.pipeline) * min(tokens, self.window))


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's parameters in bytes. `cut` is dealt to the tensor-parallel ranks, `whole` lies on each of them.

    ends: the part of `cut` in the embedding and the output layer, which pipelining does not deal out evenly; active:
    parameters that one token meets; origin: where the figures are from.
    """

    cut: float
    whole: float
    ends: float
    active: float
    origin: str

    @property
    def total(self) -> float:
        """Bytes of all parameters, each counted once."""
        return self.cut + self.whole

    def per_rank(self, split: Split) -> int:
        """Bytes on the fullest rank."""
        inner = (self.cut - self.ends) / split.tensor + self.whole
        ends = self.ends / split.tensor / (2 if split.pipeline > 1 else 1)
        return int(inner / split.pipeline + ends)

    def scaled(self, total: float, origin: str) -> "Weights":
        """Return the same model with `total` bytes, as its files have it."""
        by = total / self.total
        return Weights(self.cut * by, self.whole * by, self.ends * by, self.active, origin)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as far as memory goes. weights: None when they cannot be told; experts: 0 for a dense one.

    hidden, inner, vocabulary: widths, for what an engine needs while it computes; 0 when not known.
    """

    name: str
    cache: Cache
    weights: Weights | None
    experts: int = 0
    chosen: int = 0
    hidden: int = 0
    inner: int = 0
    vocabulary: int = 0
    longest: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_sparse(self) -> bool:
        """Whether it is a mixture of experts."""
        return self.experts > 0
