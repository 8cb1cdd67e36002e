"""Third step, inside: attention over the KV cache. On a GPU flash kernels, elsewhere plain arithmetic."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def of_streams(query: Tensor, keys: Tensor, values: Tensor, bounds: Tensor, used: Tensor, longest: int) -> Tensor:
    """Return the attention of one token of each slot over the slot's first `used` tokens.

    `query` is (slots, heads, size); `keys` and `values` are (tokens, kv heads, size), a slot beginning at its bound.
    """
    if not query.is_cuda:
        return _one_by_one(query, keys, values, bounds, used)
    from bench.gpu.decoding import split_attention

    return split_attention(query.contiguous(), keys, values, bounds, used, longest)


def of_prompt(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return the causal attention of a prompt's newest tokens over all its tokens so far, these included."""
    if not query.is_cuda:
        return _causal(query, keys, values)
    new, all_ = len(query), len(keys)
    ends = torch.tensor([[0, new], [0, all_]], dtype=torch.int32, device=query.device)
    found = torch.ops.aten._flash_attention_forward(query, keys, values, ends[0], ends[1], new, all_, 0.0, True, False)
    return found[0]


def _one_by_one(query: Tensor, keys: Tensor, values: Tensor, bounds: Tensor, used: Tensor) -> Tensor:
    rows = []
    for slot, (begin, length) in enumerate(zip(bounds[:-1].tolist(), used.tolist(), strict=True)):
        rows.append(_causal(query[slot : slot + 1], keys[begin : begin + length], values[begin : begin + length]))
    return torch.cat(rows)


def _causal(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    new, all_ = len(query), len(keys)
    seen = torch.ones(new, all_, dtype=torch.bool).tril(all_ - new)
    q, k, v = (each.transpose(0, 1)[None] for each in (query, keys, values))
    return scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)[0].transpose(0, 1)
