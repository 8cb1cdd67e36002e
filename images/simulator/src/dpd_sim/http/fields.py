"""Request fields by table: name, kind, bounds. Pure; every refusal is an ApiError with status 400."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dpd_sim.http.errors import ApiError

Kind = Literal["int", "number", "bool", "str", "object", "list"]
_KINDS: dict[Kind, tuple[type, ...]] = {
    "int": (int,),
    "number": (int, float),
    "bool": (bool,),
    "str": (str,),
    "object": (dict,),
    "list": (list,),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field's type and inclusive bounds; `above` is an exclusive lower bound."""

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    above: float | None = None


SAMPLING = (
    Field("n", "int", low=1, high=16384),
    Field("max_tokens", "int", low=1),
    Field("max_completion_tokens", "int", low=1),
    Field("min_tokens", "int", low=0),
    Field("temperature", "number", low=0),
    Field("top_p", "number", above=0, high=1),
    Field("top_k", "int", low=-1),
    Field("min_p", "number", low=0, high=1),
    Field("presence_penalty", "number", low=-2, high=2),
    Field("frequency_penalty", "number", low=-2, high=2),
    Field("repetition_penalty", "number", above=0),
    Field("seed", "int", low=-(2**63), high=2**63 - 1),
    Field("stream", "bool"),
    Field("stream_options", "object"),
    Field("ignore_eos", "bool"),
    Field("echo", "bool"),
    Field("stop_token_ids", "list"),
    Field("return_token_ids", "bool"),
    Field("kv_transfer_params", "object"),
    Field("model", "str"),
    Field("user", "str"),
    Field("logit_bias", "object"),
    Field("top_logprobs", "int", low=0),
    Field("truncate_prompt_tokens", "int", low=-1),
    Field("tools", "list"),
    Field("response_format", "object"),
)


def check(body: Mapping[str, Any], table: tuple[Field, ...] = SAMPLING) -> None:
    """Refuse fields of the wrong type or out of bounds; null counts as absent."""
    for field in table:
        value = body.get(field.name)
        if value is not None:
            _check(field, value)


def _check(field: Field, value: Any) -> None:
    if type(value) not in _KINDS[field.kind]:
        raise ApiError(
            f"Input should be a valid {field.kind}, got {type(value).__name__} for {field.name}", param=field.name
        )
    if field.kind not in {"int", "number"}:
        return
    if type(value) is float and not math.isfinite(value):
        raise ApiError(f"{field.name} must be a finite number, got {value}.", param=field.name)
    if field.low is not None and value < field.low:
        raise ApiError(f"{field.name} must be at least {field.low}, got {value}.", param=field.name)
    if field.above is not None and value <= field.above:
        raise ApiError(f"{field.name} must be greater than {field.above}, got {value}.", param=field.name)
    if field.high is not None and value > field.high:
        raise ApiError(f"{field.name} must be at most {field.high}, got {value}.", param=field.name)
