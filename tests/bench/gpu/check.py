"""Beside the steps: that the model is right. A prompt whole, in pieces and token by token, against plain arithmetic.

A small model, with the same weights on the processor in 32 bits: there attention is PyTorch's plain one.
"""

import torch

from bench.gpu.model import Model
from bench.gpu.model_shape import Shape
from bench.gpu.schedule import Job, Piece

SMALL = Shape(layers=2, hidden=256, heads=4, kv_heads=2, size=64, inner=512, vocabulary=1000)
TOKENS, FIRST = 1300, 1200
MOST = {"cpu": 1e-4, "cuda": 3e-2}


def error(device: str) -> float:
    """Return how far keys and values in the cache are from the reference's, relative; the largest of all ways."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    reference = Model(SMALL, [TOKENS], "cpu", torch.float32)
    prompt = torch.randint(SMALL.vocabulary, (TOKENS,))
    wanted = _computed(reference, prompt, [TOKENS])
    other = Model(SMALL, [TOKENS], device, dtype)
    _same(reference, other)
    ways = [[TOKENS], [FIRST, TOKENS - FIRST], [FIRST, *[1] * (TOKENS - FIRST)]]
    found = [_computed(other, prompt.to(device), way).float().cpu() for way in ways]
    return max(float((each - wanted).norm() / wanted.norm()) for each in found)


def _computed(model: Model, prompt: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """Compute a prompt in pieces, a piece of one token as a stream's; return the last layer's keys and values."""
    model.kv.fill_(float("nan"))
    model.kv[:, :, -1] = 0
    before = 0
    with torch.inference_mode():
        for new in pieces:
            rows = torch.arange(before, before + new, device=model.device)
            if new == 1:
                model._place([before])
                model._forward(prompt[rows], model.at[0], model.at[1], ())
            else:
                model._place([None])
                tokens, zero = prompt[rows], rows.new_zeros(1)
                piece = Piece(Job(0.0, TOKENS, 0), before, new)
                model._forward(
                    torch.cat([zero, tokens]), torch.cat([zero, rows]), torch.cat([zero + TOKENS, rows]), (piece,)
                )
            before += new
    return model.kv[-1, :, :TOKENS].clone()


def _same(one: Model, other: Model) -> None:
    other.embed.copy_(one.embed)
    for source, target in zip(one.layers, other.layers, strict=True):
        for name in ("qkv", "out", "gate_up", "down"):
            getattr(target, name).copy_(getattr(source, name))
