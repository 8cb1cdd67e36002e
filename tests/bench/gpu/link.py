"""Third step, beside: how KV comes to a decoder. The link's writes go on beside the steps, the copy is part of one.

A link between machines is stood in for by the host's: pages are written to a buffer on the GPU from pinned memory, by
the copy engine. Once they are there, one copy on the GPU takes them from the buffer to their slot.
"""

import torch

from bench.gpu.model import Model

CARRIED_BYTES = 1 << 28


class Link:
    """One transfer at a time. On a machine without a GPU there is no copy engine: what is sent is there at once."""

    def __init__(self, model: Model, longest: int) -> None:
        self._model = model
        kv = model.kv
        self._buffer = torch.empty_like(kv[:, :, :longest]).normal_()
        self._cuda = kv.is_cuda
        size = min(CARRIED_BYTES // kv.element_size(), self._buffer.numel())
        self._host = torch.ones(size, dtype=kv.dtype, pin_memory=self._cuda)
        self._stream = torch.cuda.Stream() if self._cuda else None
        self._done: torch.cuda.Event | None = None
        self.bytes = 0

    def begin(self, tokens: int) -> None:
        """Begin to write a prompt's KV to the buffer."""
        left = tokens * self._model.shape.token_bytes
        self.bytes += left
        if self._stream is None:
            return
        flat = self._buffer.view(-1)
        with torch.cuda.stream(self._stream):
            while left > 0:
                count = min(self._host.numel(), -(-left // self._host.element_size()))
                flat[:count].copy_(self._host[:count], non_blocking=True)
                left -= count * self._host.element_size()
            self._done = torch.cuda.Event()
            self._done.record()

    @property
    def idle(self) -> bool:
        """Whether what was begun has been written."""
        return self._done is None or self._done.query()

    def receive(self, slot: int, tokens: int) -> None:
        """Copy what was written from the buffer to a slot."""
        start = self._model.starts[slot]
        self._model.kv[:, :, start : start + tokens].copy_(self._buffer[:, :, :tokens])
