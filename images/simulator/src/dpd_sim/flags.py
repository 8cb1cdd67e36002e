"""The command line of `vllm serve`: the flags a deployment uses, read and refused as vLLM's parser does."""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from dpd_sim import flag_table


class FlagError(Exception):
    """A command line that vLLM refuses; the process ends with status 2."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags the simulation acts on. Others that vLLM knows are read and left alone."""

    model: str
    host: str | None
    port: int
    served_model_name: tuple[str, ...]
    tensor_parallel_size: int
    pipeline_parallel_size: int
    max_model_len: int | None
    gpu_memory_utilization: float
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    enable_prefix_caching: bool
    dtype: str
    kv_cache_dtype: str
    api_key: tuple[str, ...]
    enable_auto_tool_choice: bool
    tool_call_parser: str | None
    runner: str
    enable_request_id_headers: bool
    max_logprobs: int
    num_gpu_blocks_override: int | None
    kv_transfer_config: dict[str, Any] | None
    kv_events_config: dict[str, Any] | None
    disable_log_requests: bool
    disable_uvicorn_access_log: bool


def human_int(text: str) -> int:
    """Read 16384, 16k (thousands), 16K (1024s), 1.5M and the like. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([kKmMgGtT]?)", text.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"invalid integer: {text!r}")
    number, unit = match.groups()
    if not unit:
        if "." in number:
            raise argparse.ArgumentTypeError(f"invalid integer: {text!r}")
        return int(number)
    base = 1000 if unit.islower() else 1024
    value = float(number) * base ** ("kmgt".index(unit.lower()) + 1)
    if value != int(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(value)


def json_object(text: str) -> dict[str, Any]:
    """Read a JSON object. Raises ArgumentTypeError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"Value {text} cannot be converted to JSON: {error}") from None
    if type(value) is not dict:
        raise argparse.ArgumentTypeError(f"Value {text} is not a JSON object")
    return value


_ONE: tuple[tuple[str, Callable[[str], Any], Any], ...] = (
    ("--host", str, None),
    ("--port", int, 8000),
    ("--max-model-len", human_int, None),
    ("--gpu-memory-utilization", float, 0.9),
    ("--max-num-seqs", human_int, 256),
    ("--max-num-batched-tokens", human_int, 8192),
    ("--block-size", int, 16),
    ("--dtype", str, "auto"),
    ("--kv-cache-dtype", str, "auto"),
    ("--tool-call-parser", str, None),
    ("--runner", str, "auto"),
    ("--max-logprobs", int, 20),
    ("--num-gpu-blocks-override", int, None),
    ("--kv-transfer-config", json_object, None),
    ("--kv-events-config", json_object, None),
)
"""Flags with one value that the simulation acts on."""

_SWITCHES: tuple[tuple[str, bool], ...] = (
    ("--enable-prefix-caching", True),
    ("--enable-auto-tool-choice", False),
    ("--enable-request-id-headers", False),
    ("--disable-log-requests", False),
    ("--disable-uvicorn-access-log", False),
)
"""Switches, each with its `--no-` form, that the simulation acts on."""

_LEFT_ALONE: tuple[tuple[tuple[str, ...], Callable[[str], Any]], ...] = (
    (flag_table.TEXTS, str),
    (flag_table.NUMBERS, human_int),
    (flag_table.OBJECTS, json_object),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise FlagError where argparse would end the process."""
        raise FlagError(message)


def _parser() -> _Parser:
    parser = _Parser(prog="vllm serve", add_help=True, allow_abbrev=False)
    parser.add_argument("model_tag", nargs="?", default=None)
    parser.add_argument("--model", default=None)
    parser.add_argument("--served-model-name", nargs="+", default=[])
    parser.add_argument("--api-key", nargs="+", default=[])
    parser.add_argument("--tensor-parallel-size", "-tp", type=int, default=1)
    parser.add_argument("--pipeline-parallel-size", "-pp", type=int, default=1)
    for name, kind, default in _ONE:
        parser.add_argument(name, type=kind, default=default)
    for name, on in _SWITCHES:
        parser.add_argument(name, action=argparse.BooleanOptionalAction, default=on)
    for names, kind in _LEFT_ALONE:
        for name in names:
            parser.add_argument(name, type=kind, default=None)
    for name in flag_table.SWITCHES:
        parser.add_argument(name, action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--middleware", action="append", default=[])
    parser.add_argument("--lora-modules", nargs="+", default=[])
    parser.add_argument("--allowed-origins", type=json.loads, default=["*"])
    return parser


def _dashed(word: str) -> str:
    """Spell a flag's name with dashes; its value, if glued on with =, stays."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def parse(argv: Sequence[str]) -> Flags:
    """Read a command line (without the program's name). Raises FlagError with argparse's text."""
    words = [_dashed(word) for word in argv]
    given = vars(_parser().parse_args(words))
    tag, named = given.pop("model_tag"), given.pop("model")
    model = tag or named
    if model is None:
        raise FlagError("the following arguments are required: model")
    for name in ("served_model_name", "api_key"):
        given[name] = tuple(given[name])
    for name in (
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "max_num_seqs",
        "max_num_batched_tokens",
        "block_size",
    ):
        if given[name] < 1:
            raise FlagError(f"argument --{name.replace('_', '-')}: must be at least 1, got {given[name]}")
    if not 0 <= given["port"] <= 65535:
        raise FlagError(f"argument --port: must be between 0 and 65535, got {given['port']}")
    return Flags(model=model, **{name: given[name] for name in Flags.__dataclass_fields__ if name != "model"})
