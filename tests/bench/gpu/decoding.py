"""Third step, inside: attention of streams' single tokens, in Triton. A long context is split among many processors.

Without the split one processor would read a context of 16,000 tokens alone while the others wait, in every layer.
"""

import torch
import triton
from torch import Tensor
from triton import language as tl

SPLIT, BLOCK, ROWS = 512, 64, 16


@triton.jit  # type: ignore[untyped-decorator]
def _parts(
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    starts: tl.tensor,
    used: tl.tensor,
    out: tl.tensor,
    weights: tl.tensor,
    scale: tl.tensor,
    splits: tl.tensor,
    KV: tl.constexpr,  # noqa: N803
    GROUP: tl.constexpr,  # noqa: N803
    SIZE: tl.constexpr,  # noqa: N803
    SPLIT: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
    ROWS: tl.constexpr,  # noqa: N803
) -> None:
    """Attend to one split of one slot for the heads that share keys; leave the result and its weight's logarithm."""
    slot, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(used + slot)
    begin = split * SPLIT
    if begin < length:
        end = tl.minimum(begin + SPLIT, length)
        start = tl.load(starts + slot).to(tl.int64)
        rows, dims = tl.arange(0, ROWS), tl.arange(0, SIZE)
        real = (rows < GROUP)[:, None]
        each = slot * KV * GROUP + head * GROUP + rows
        q = tl.load(query + each[:, None] * SIZE + dims[None, :], mask=real, other=0.0)
        most = tl.full((ROWS,), float("-inf"), tl.float32)
        total = tl.zeros((ROWS,), tl.float32)
        found = tl.zeros((ROWS, SIZE), tl.float32)
        for at in range(begin, end, BLOCK):
            places = at + tl.arange(0, BLOCK)
            there = places < end
            first = (start + places) * KV * SIZE + head * SIZE
            k = tl.load(keys + first[None, :] + dims[:, None], mask=there[None, :], other=0.0)
            score = tl.where(there[None, :], tl.dot(q, k, input_precision="ieee") * scale, float("-inf"))
            higher = tl.maximum(most, tl.max(score, 1))
            part, fade = tl.exp(score - higher[:, None]), tl.exp(most - higher)
            v = tl.load(values + first[:, None] + dims[None, :], mask=there[:, None], other=0.0)
            found = found * fade[:, None] + tl.dot(part.to(v.dtype), v, input_precision="ieee")
            total = total * fade + tl.sum(part, 1)
            most = higher
        into = each * splits + split
        tl.store(out + into[:, None] * SIZE + dims[None, :], found / total[:, None], mask=real)
        tl.store(weights + into, most + tl.log(total), mask=rows < GROUP)


@triton.jit  # type: ignore[untyped-decorator]
def _whole(
    parts: tl.tensor,
    weights: tl.tensor,
    used: tl.tensor,
    out: tl.tensor,
    splits: tl.tensor,
    HEADS: tl.constexpr,  # noqa: N803
    SIZE: tl.constexpr,  # noqa: N803
    SPLIT: tl.constexpr,  # noqa: N803
) -> None:
    """Weigh the splits of one slot and head."""
    slot, head = tl.program_id(0), tl.program_id(1)
    dims, row = tl.arange(0, SIZE), slot * HEADS + head
    most, total, found = float("-inf"), 0.0, tl.zeros((SIZE,), tl.float32)
    for split in range(tl.cdiv(tl.load(used + slot), SPLIT)):
        weight = tl.load(weights + row * splits + split)
        part = tl.load(parts + (row * splits + split) * SIZE + dims)
        higher = tl.maximum(most, weight)
        fade, share = tl.exp(most - higher), tl.exp(weight - higher)
        found, total, most = found * fade + part * share, total * fade + share, higher
    tl.store(out + row * SIZE + dims, (found / total).to(out.dtype.element_ty))


def split_attention(query: Tensor, keys: Tensor, values: Tensor, starts: Tensor, used: Tensor, longest: int) -> Tensor:
    """Return (slots, heads, size): the attention of one token of each slot over the slot's first `used` tokens."""
    slots, heads, size = query.shape
    shared, splits = keys.shape[1], -(-longest // SPLIT)
    parts = torch.empty(slots, heads, splits, size, device=query.device, dtype=torch.float32)
    weights, out = parts.new_empty(slots, heads, splits), torch.empty_like(query)
    _parts[slots, shared, splits](
        query, keys, values, starts, used, parts, weights, size**-0.5, splits,
        KV=shared, GROUP=heads // shared, SIZE=size, SPLIT=SPLIT, BLOCK=BLOCK, ROWS=ROWS,
    )  # fmt: skip
    _whole[slots, heads](parts, weights, used, out, splits, HEADS=heads, SIZE=size, SPLIT=SPLIT)
    return out
