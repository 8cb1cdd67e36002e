"""How long the engine takes: seconds of one step from what the step computes. Pure; the engine does the sleeping."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Costs of a step, in seconds of the engine that is simulated (the clock's speed is applied by the caller)."""

    step: float = 0.004
    prefill_token: float = 1 / 9000
    prefill_square: float = 1.2e-9
    decode_step: float = 0.012
    decode_sequence: float = 0.0001
    decode_context_token: float = 1.3e-8
    transfer_bytes_per_second: float = 40e9
    retrieve_bytes_per_second: float = 180e9

    def prefill(self, new: int, before: int) -> float:
        """Seconds to compute `new` prompt tokens that follow `before` tokens already in the cache."""
        return self.prefill_token * new + self.prefill_square * new * (before + new)

    def decode(self, contexts: Sequence[int]) -> float:
        """Seconds in which every sequence of the batch gets its next token."""
        if not contexts:
            return 0.0
        return self.decode_step + self.decode_sequence * len(contexts) + self.decode_context_token * sum(contexts)

    def forward(self, prefills: Sequence[tuple[int, int]], contexts: Sequence[int]) -> float:
        """Seconds of one step: prefills (new, before) and decodes share it, which is how they disturb each other."""
        return self.step + sum(self.prefill(new, before) for new, before in prefills) + self.decode(contexts)

    def transfer(self, size: int) -> float:
        """Seconds to push that many bytes of one rank to another engine."""
        return size / self.transfer_bytes_per_second

    def retrieve(self, size: int) -> float:
        """Seconds to copy that many bytes of one rank from its buffer into the paged cache."""
        return size / self.retrieve_bytes_per_second
