"""Third step: one step of a Llama-shaped model with random weights over a KV cache of slots.

Every slot that decodes gets one token, and pieces of prompts ride along in the same matrices. A step without pieces is
one CUDA graph; with pieces the kernels are launched one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding, rms_norm, silu

from bench.gpu.attention import of_prompt, of_streams
from bench.gpu.model_shape import Shape
from bench.gpu.schedule import Piece

EPSILON, THETA = 1e-5, 500_000.0


@dataclass(frozen=True)
class Layer:
    """One layer's matrices, laid out to be multiplied from the right."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor


class Model:
    """Weights, cache and the graph. `slots` are the sizes of the cache's slots, in tokens."""

    def __init__(self, shape: Shape, slots: Sequence[int], device: str, dtype: torch.dtype = torch.bfloat16) -> None:
        self.shape = shape
        self.slots = slots
        self.starts = [sum(slots[:number]) for number in range(len(slots))]
        self.device = device
        self._dtype = dtype
        s = shape
        self.embed = self._random(s.vocabulary, s.hidden)
        self.head = self._random(s.hidden, s.vocabulary)
        wide = (s.heads + 2 * s.kv_heads) * s.size
        self.layers = [
            Layer(
                self._random(s.hidden, wide),
                self._random(s.heads * s.size, s.hidden),
                self._random(s.hidden, 2 * s.inner),
                self._random(s.inner, s.hidden),
            )
            for _ in range(s.layers)
        ]
        self.norm = torch.ones(s.hidden, device=device, dtype=dtype)
        total = sum(slots) + 1  # the last is where slots that do nothing write
        self.kv = torch.empty(s.layers, 2, total, s.kv_heads, s.size, device=device, dtype=dtype)
        for layer in self.kv:
            layer.normal_()
        self.bounds = torch.tensor([*self.starts, total - 1], device=device, dtype=torch.int32)
        self.turns = _turns(max(slots), s.size, device, dtype)
        # What a step reads: token, position and place in the cache for every slot.
        self.tokens = torch.zeros(len(slots), device=device, dtype=torch.long)
        self.at = torch.zeros(2, len(slots), device=device, dtype=torch.long)
        self._graph: torch.cuda.CUDAGraph | None = None

    def _random(self, *size: int) -> Tensor:
        made = torch.empty(*size, device=self.device, dtype=self._dtype)
        return made.normal_(std=size[0] ** -0.5)

    def capture(self) -> None:
        """Record a step without pieces; on a GPU only."""
        with torch.inference_mode():
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                self._decode()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._decode()
            self._graph = graph

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self, lengths: Sequence[int | None], pieces: Sequence[Piece] = ()) -> list[int]:
        """Compute a step and wait for its tokens, one of each slot.

        `lengths`: the tokens a slot has before its newest one, which is the one to be computed; None: it does nothing.
        """
        self._place(lengths)
        if pieces:
            self._mixed(pieces)
        elif self._graph is not None:
            self._graph.replay()
        else:
            self._decode()
        found: list[int] = self.tokens.tolist()
        return found

    def _place(self, lengths: Sequence[int | None]) -> None:
        last = sum(self.slots)
        positions = [length or 0 for length in lengths]
        places = [last if each is None else start + each for start, each in zip(self.starts, lengths, strict=True)]
        self.at.copy_(torch.tensor([positions, places]))

    def _decode(self) -> None:
        x = self._forward(self.tokens, self.at[0], self.at[1], ())
        self.tokens.copy_((x @ self.head).argmax(-1))

    def _mixed(self, pieces: Sequence[Piece]) -> None:
        made = torch.Generator(device=self.device).manual_seed(pieces[0].before)
        count = sum(each.new for each in pieces)
        tokens = torch.randint(self.shape.vocabulary, (count,), device=self.device, generator=made)
        rows = [torch.arange(each.before, each.before + each.new, device=self.device) for each in pieces]
        places = [row + self.starts[each.job.slot] for row, each in zip(rows, pieces, strict=True)]
        positions, where = torch.cat([self.at[0], *rows]), torch.cat([self.at[1], *places])
        x = self._forward(torch.cat([self.tokens, tokens]), positions, where, pieces)
        ends, row = list(range(len(self.slots))), len(self.slots)
        for each in pieces:
            row += each.new
            ends[each.job.slot] = row - 1  # its slot decodes nothing in this step
        self.tokens.copy_((x[torch.tensor(ends, device=self.device)] @ self.head).argmax(-1))

    def _forward(self, tokens: Tensor, positions: Tensor, where: Tensor, pieces: Sequence[Piece]) -> Tensor:
        s, x, turns = self.shape, embedding(tokens, self.embed), self.turns[:, positions]
        used = (self.at[0] + 1).int()
        for layer, (keys, values) in zip(self.layers, self.kv, strict=True):
            mixed = (rms_norm(x, (s.hidden,), self.norm, EPSILON) @ layer.qkv).view(len(x), -1, s.size)
            query, key, value = mixed.split([s.heads, s.kv_heads, s.kv_heads], 1)
            keys.index_copy_(0, where, _turned(key, turns))
            values.index_copy_(0, where, value)
            seen = self._attend(_turned(query, turns), keys, values, used, pieces)
            x = x + seen.reshape(len(x), -1) @ layer.out
            gate, up = (rms_norm(x, (s.hidden,), self.norm, EPSILON) @ layer.gate_up).chunk(2, -1)
            x = x + (silu(gate) * up) @ layer.down
        return rms_norm(x, (s.hidden,), self.norm, EPSILON)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, used: Tensor, pieces: Sequence[Piece]) -> Tensor:
        row = len(self.slots)
        parts = [of_streams(query[:row], keys, values, self.bounds, used, max(self.slots))]
        for each in pieces:
            start = self.starts[each.job.slot]
            end = start + each.before + each.new
            parts.append(of_prompt(query[row : row + each.new], keys[start:end], values[start:end]))
            row += each.new
        return torch.cat(parts) if len(parts) > 1 else parts[0]


def _turns(longest: int, size: int, device: str, dtype: torch.dtype) -> Tensor:
    """Return cosines and sines of the rotary embedding, (2, positions, 1, size)."""
    steps = THETA ** -(torch.arange(0, size, 2, device=device).float() / size)
    angles = torch.arange(longest, device=device).float()[:, None] * steps
    both = torch.cat([angles, angles], -1)
    return torch.stack([both.cos(), both.sin()]).to(dtype)[:, :, None]


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return x * turns[0] + torch.cat([-right, left], -1) * turns[1]
