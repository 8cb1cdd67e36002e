"""What fits on a GPU: the engine's share of it, less weights and what computing takes, is left for KV. Pure.

The two figures that nobody can count beforehand are estimates and called so: what an engine holds besides tensors, and
what it needs while it computes one step. The engine's own start says the truth: `GPU KV cache size`.
"""

from dataclasses import dataclass

from dpd.size.architecture import Model
from dpd.size.case import Engine
from dpd.sizing import GIB

ENGINE_BYTES = 2 * GIB  # CUDA and NCCL contexts, graphs, fragments: 1.5 to 3 GiB are seen on eight GPUs
_BLOCK_TOKENS = 16
_HALF = 2
_LOGIT_BYTES = 8  # one in 32 bits, and a copy to sample from
_WIDTHS = 4  # residual, normed, attention in and out
_INNER = 3  # gate, up and their product


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one GPU of an engine. beside: what the engine leaves to others; overhead: estimated."""

    gpu: int
    share: int
    weights: int
    overhead: int
    kv: int
    beside: int
    token_bytes: int

    @property
    def tokens(self) -> int:
        """Tokens that fit into the KV cache, in whole blocks; 0 when nothing is left."""
        return max(0, self.kv) // (self.token_bytes * _BLOCK_TOKENS) * _BLOCK_TOKENS


def memory_of(model: Model, engine: Engine, overhead: int | None = None) -> Memory:
    """Return what is taken and left on one GPU. `overhead` in bytes replaces the estimate."""
    weights = model.weights.per_rank(engine.split) if model.weights else 0
    share = int(engine.gpu_bytes * engine.utilization)
    needs = estimated_overhead(model, engine) if overhead is None else overhead
    return Memory(
        gpu=engine.gpu_bytes,
        share=share,
        weights=weights,
        overhead=needs,
        kv=share - weights - needs,
        beside=engine.gpu_bytes - share,
        token_bytes=model.cache.token_bytes(engine.split, engine.value_bytes),
    )


def estimated_overhead(model: Model, engine: Engine) -> int:
    """Bytes an engine needs beside weights and KV: a fixed part, activations of the largest step, and logits."""
    inner = _INNER * model.inner * max(1, model.chosen) // engine.split.tensor
    activations = engine.batched * _HALF * (_WIDTHS * model.hidden + inner)
    return ENGINE_BYTES + activations + engine.sequences * model.vocabulary * _LOGIT_BYTES


def sequences_of(model: Model, engine: Engine, memory: Memory, tokens: int) -> int:
    """How many sequences of `tokens` fit into the KV cache at once, whatever --max-num-seqs says."""
    each = model.cache.sequence_bytes(tokens, engine.split, engine.value_bytes, whole=engine.connected)
    return max(0, memory.kv) // each
