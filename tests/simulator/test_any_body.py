"""Bodies of every kind: each is answered or refused with a 4xx, and none is a fault of the engine's."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.engines import sim

HUGE = 10**400
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
ODD: tuple[Any, ...] = (None, True, 0, -1, 1.5, HUGE, "", "\ud800", "\0", [], [HUGE], ["\ud800"], {}, {"type": 3})
SCHEMAS: tuple[Any, ...] = (
    {"enum": 3},
    {"type": "object", "properties": 3},
    {"type": "object", "required": 3},
    {"type": "array", "items": 3},
    {"type": "array", "minItems": HUGE},
    {"type": "integer", "minimum": "x"},
    {"type": "string", "minLength": None},
    {"type": "string", "minLength": 10**9},
)
FIELDS = (
    "max_tokens", "temperature", "top_p", "seed", "stop", "stop_token_ids", "n", "logprobs", "top_logprobs", "stream",
    "stream_options", "tools", "tool_choice", "response_format", "model", "messages", "prompt", "instructions", "input",
    "system", "stop_sequences", "return_token_strs", "tokens", "min_tokens", "logit_bias", "user", "echo",
)  # fmt: skip
PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens",
    "/invocations", "/tokenize", "/detokenize",
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([*ODD, *({"type": "json_schema", "json_schema": {"schema": each}} for each in SCHEMAS)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)
WELL = {"messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x", "tokens": [1], "max_tokens": 2}


CASES = st.lists(
    st.tuples(st.sampled_from(PATHS), st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=3)),
    min_size=20,
    max_size=20,
)


@settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(CASES)
async def test_no_body_is_a_fault_of_the_engines(cases: list[tuple[str, dict[str, Any]]]) -> None:
    async with sim() as engine:
        for path, changes in cases:
            answer = await engine.http.post(path, content=json.dumps({**WELL, **changes, "n": 1}))
            assert answer.status_code in (200, 400, 404), (path, changes, answer.text)


@pytest.mark.parametrize("schema", [*SCHEMAS, 3, None])
async def test_a_schema_that_makes_no_sense_is_refused(schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    async with sim() as engine:
        for more in ({"response_format": wanted}, {"tools": [tool], "tool_choice": "required"}):
            answer = await engine.http.post("/v1/chat/completions", content=json.dumps({**WELL, **more}))
            assert answer.status_code in (200, 400), answer.text


async def test_half_a_surrogate_pair_is_refused_whatever_names_it() -> None:
    async with sim() as engine:
        for field in ("model", "user", "prompt"):
            raw = b'{"messages": [{"role": "user", "content": "x"}], "%b": "\\uD800"}' % field.encode()
            answer = await engine.http.post("/v1/chat/completions", content=raw)
            assert answer.status_code == 400
            assert "JSON decode error" in answer.text
