"""Moves KV between vLLM's CPU cache and LMCache's chunks: what LMCache's CUDA connector does on a GPU.

A layer of vLLM's cache is [2, blocks, heads, block_size, dim], keys first; a chunk is [2, layers, tokens, heads * dim].
The CPU attention kernel packs a block's elements in an order of its own, which depends on the processor, so copying
"the row of a token" gives wrong answers for a block that is not full. `Layout` asks the kernel where it puts each
element. Imported after LMCache's adapter only, see `lmcache_on_cpu`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lmcache.v1.gpu_connector.gpu_connectors import GPUConnectorInterface  # type: ignore[import-not-found]


class Layout:
    """Where the kernel puts element (token, dim) of a block, for keys and values: [block_size, dim] places."""

    def __init__(self, dtype: torch.dtype, heads: int, block_size: int, dim: int) -> None:
        self.block_size = block_size
        # 64 * 64 different values: each half is exact in any floating-point type that vLLM uses.
        numbers = torch.arange(block_size * dim).view(block_size, 1, dim)
        low, high = (self._written(part.to(dtype).repeat(1, heads, 1)) for part in (numbers % 64, numbers // 64))
        self.places = tuple(self._inverse(a + 64 * b).view(block_size, dim) for a, b in zip(low, high, strict=True))

    @staticmethod
    def _written(tokens: torch.Tensor) -> list[torch.Tensor]:
        """Let the kernel write one block of keys and of values; returns both as the numbers lie in memory."""
        from vllm import _custom_ops as ops  # type: ignore[import-not-found]
        from vllm.v1.attention.backends.cpu_attn import _get_attn_isa  # type: ignore[import-not-found]

        size, heads, dim = tokens.shape
        keys, values = (torch.zeros(1, heads, size, dim, dtype=tokens.dtype) for _ in range(2))
        tokens = tokens.contiguous()
        isa = _get_attn_isa(tokens.dtype, size, dim)
        ops.cpu_attn_reshape_and_cache(tokens, tokens.clone(), keys, values, torch.arange(size), isa)
        return [each[0, 0].reshape(-1).float() for each in (keys, values)]

    @staticmethod
    def _inverse(found: torch.Tensor) -> torch.Tensor:
        """From `number at each place` to `place of each number`."""
        numbers = found.long()
        every = torch.arange(numbers.numel())
        if not torch.equal(numbers.sort().values, every):
            raise RuntimeError(
                "CPU attention kernel: it does not store each element once; this plugin fits vLLM 0.19.0"
            )
        places = torch.empty_like(numbers)
        places[numbers] = every
        return places


class Cache:
    """vLLM's cache of all layers, addressed by slot: block * block_size + position."""

    def __init__(self, layers: Sequence[torch.Tensor], layout: Layout) -> None:
        self._layout = layout
        # Elements of a block in one row, as they lie in memory.
        self._flat = [[part.view(*part.shape[:2], -1) for part in layer] for layer in layers]

    def parts(self, slots: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor, tuple[Any, ...]]]:
        """Each (layer, keys or values) with its tensor and the index of the slots' elements: [tokens, heads, dim]."""
        blocks, positions = slots // self._layout.block_size, slots % self._layout.block_size
        for number, layer in enumerate(self._flat):
            for kind, part in enumerate(layer):
                heads = torch.arange(part.shape[1])[None, :, None]
                index = (blocks[:, None, None], heads, self._layout.places[kind][positions][:, None, :])
                yield number, kind, part, index


class CPUConnector(GPUConnectorInterface):  # type: ignore[misc]  # LMCache has no types
    """LMCache's side of the copy. `kwargs` are LMCache's: kvcaches, slot_mapping, vllm_cached_tokens."""

    def __init__(self, metadata: Any) -> None:
        self.layers, kinds, _, self.heads, self.dim = metadata.kv_shape
        if kinds != 2:
            raise RuntimeError("KV cache: one tensor a layer (MLA); this plugin copies keys and values")
        self.layout: Layout | None = None
        self.kvcaches: Any = None

    def _cache(self, kvcaches: Any) -> Cache:
        layers = list(kvcaches.values()) if hasattr(kvcaches, "values") else list(kvcaches)
        _, _, heads, block_size, dim = layers[0].shape
        if self.layout is None:
            self.layout = Layout(layers[0].dtype, heads, block_size, dim)
        return Cache(layers, self.layout)

    def to_gpu(self, memory_obj: Any, start: int, end: int, **kwargs: Any) -> None:
        """Copy a chunk into the slots of tokens start…end, without those that vLLM has already."""
        skip = min(end - start, max(0, kwargs.get("vllm_cached_tokens", 0) - start))
        slots = kwargs["slot_mapping"][start + skip : end].long()
        for layer, kind, part, index in self._cache(kwargs["kvcaches"]).parts(slots):
            part[index] = memory_obj.tensor[kind, layer][skip:].reshape(-1, self.heads, self.dim)

    def from_gpu(self, memory_obj: Any, start: int, end: int, **kwargs: Any) -> None:
        """Copy the slots of tokens start…end into a chunk."""
        slots = kwargs["slot_mapping"][start:end].long()
        for layer, kind, part, index in self._cache(kwargs["kvcaches"]).parts(slots):
            memory_obj.tensor[kind, layer].copy_(part[index].reshape(-1, self.heads * self.dim))

    def batched_to_gpu(self, memory_objs: Any, starts: Any, ends: Any, **kwargs: Any) -> None:
        """`to_gpu` for several chunks."""
        for chunk, start, end in zip(memory_objs, starts, ends, strict=True):
            self.to_gpu(chunk, start, end, **kwargs)

    def batched_from_gpu(self, memory_objs: Any, starts: Any, ends: Any, **kwargs: Any) -> None:
        """`from_gpu` for several chunks."""
        for chunk, start, end in zip(memory_objs, starts, ends, strict=True):
            self.from_gpu(chunk, start, end, **kwargs)

    def get_shape(self, num_tokens: int) -> torch.Size:
        """Shape of a chunk."""
        return torch.Size([2, self.layers, num_tokens, self.heads * self.dim])
