"""What a step of an engine costs in seconds; where nobody measured, by the GPU's data sheet.

A step computes some prompt tokens and one token for every running answer; the formula is that of `dpd-sim`, whose knobs
have these names. Efficiencies are what engines reach on dense models, rounded; they are estimates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from dpd.size.architecture import Model, RefusedError
from dpd.size.case import Engine
from dpd.size.hardware import Gpu
from dpd.size.memory import memory_of

_COMPUTE, _READ, _SENT = 0.45, 0.7, 0.8  # of the data sheet
_STEP_SECONDS = 0.004
_SEQUENCE_SECONDS = 2e-5
_RETRIEVE = 0.05  # of the memory's bandwidth: 170 GB/s on an H100
_FLOPS_OF_A_PAIR = 4


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of any step, of a prompt token, of a pair of prompt tokens, of a step that decodes, of each sequence and
    of each token of context in it. Bytes in a second: pushed by one rank, copied out of its buffer.
    """

    step: float
    prefill_token: float
    prefill_square: float
    decode_step: float
    decode_sequence: float
    decode_context_token: float
    transfer_bytes_per_second: float
    retrieve_bytes_per_second: float

    def forward(self, pieces: Sequence[tuple[int, int]], sequences: int, context: int) -> float:
        """Seconds of a step with prompt pieces (new, before) and `sequences` answers of `context` tokens together."""
        seconds = self.step
        for new, before in pieces:
            seconds += self.prefill_token * new + self.prefill_square * new * (before + new)
        if sequences:
            seconds += self.decode_step + self.decode_sequence * sequences + self.decode_context_token * context
        return seconds

    def changed(self, given: Mapping[str, Any], name: str) -> "Costs":
        """Return these costs with measured ones in their places. Raises RefusedError for what is no cost."""
        known = [each.name for each in fields(self)]
        for key, value in given.items():
            if key not in known:
                raise RefusedError(f"{name}: {key}", "is no cost", f"use {', '.join(known)}")
            if type(value) not in (int, float) or not 0 <= value < float("inf"):
                raise RefusedError(f"{name}: {key}", "is no number of seconds or bytes", "write a number, 0 or more")
            if key.endswith("_per_second") and not value:
                raise RefusedError(
                    f"{name}: {key}", "is 0, so nothing would ever arrive", "write the bytes of a second"
                )
        return replace(self, **{key: float(value) for key, value in given.items()})

    def as_data(self) -> dict[str, float]:
        """Return the costs by name."""
        return asdict(self)


def estimated(model: Model, engine: Engine, gpu: Gpu) -> Costs:
    """Return what the GPU's data sheet lets expect of this engine."""
    memory = memory_of(model, engine)
    compute = engine.split.gpus * gpu.flops * _COMPUTE
    read = gpu.bandwidth * _READ
    token = 2 * (model.weights.active if model.weights else 0) / compute
    pair = _FLOPS_OF_A_PAIR * model.cache.layers * model.cache.heads * (model.cache.head_dim or model.cache.latent)
    return Costs(
        step=_STEP_SECONDS,
        prefill_token=token,
        prefill_square=pair / compute,
        decode_step=memory.weights * engine.split.pipeline / read,
        decode_sequence=token + _SEQUENCE_SECONDS,
        decode_context_token=memory.token_bytes * engine.split.pipeline / read,
        transfer_bytes_per_second=gpu.network * _SENT,
        retrieve_bytes_per_second=gpu.bandwidth * _RETRIEVE,
    )
