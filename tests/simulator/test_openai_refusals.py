from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from simulator.engines import Sim, chat, sim


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Sim]:
    async with sim() as made:
        yield made


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"model": "gpt"}, 404, "The model `gpt` does not exist."),
        ({"messages": []}, 400, "messages: a list of at least one message is required"),
        ({"messages": [{"content": "x"}]}, 400, "every message needs a role"),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "content: a string or a list of parts is required"),
        ({"max_tokens": 0}, 400, "max_tokens must be at least 1, got 0."),
        ({"max_tokens": "5"}, 400, "Input should be a valid int, got str for max_tokens"),
        ({"max_tokens": True}, 400, "Input should be a valid int, got bool for max_tokens"),
        ({"min_tokens": 50}, 400, "min_tokens must be less than or equal to max_tokens=12, got 50."),
        ({"max_tokens": 17000}, 400, "max_tokens=17000cannot be greater than max_model_len=max_total_tokens=16384."),
        ({"max_tokens": 16380}, 400, "However, you requested 16380 output tokens and your prompt contains at least 5 "),
        ({"temperature": -1}, 400, "temperature must be at least 0, got -1."),
        ({"top_p": 0}, 400, "top_p must be greater than 0, got 0."),
        ({"top_p": 1.5}, 400, "top_p must be at most 1, got 1.5."),
        ({"n": 0}, 400, "n must be at least 1, got 0."),
        ({"n": 2}, 400, "n must be 1 when using greedy sampling, got 2."),
        ({"stop": ""}, 400, "stop cannot contain an empty string."),
        ({"stop": 3}, 400, "stop: a string or a list of strings is required"),
        ({"top_logprobs": 2}, 400, "`logprobs` must be set to true"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "greater than max allowed: 20"),
        ({"stream_options": {"include_usage": True}}, 400, "Stream options can only be defined when `stream=True`."),
        ({"tool_choice": "required"}, 400, "When using `tool_choice`, `tools` must be set."),
        ({"tools": [{"type": "function"}]}, 400, "tools: every tool needs type function"),
        ({"kv_transfer_params": "x"}, 400, "Input should be a valid object, got str for kv_transfer_params"),
        ({"response_format": {"type": "yaml"}}, 400, "response_format: unknown type 'yaml'"),
    ],
)
async def test_what_vllm_refuses_is_refused(engine: Sim, changes: dict[str, Any], status: int, text: str) -> None:
    got = await engine.post("/v1/chat/completions", {**chat(1), **changes})
    assert got.status_code == status
    error = got.json()["error"]
    assert text in error["message"]
    assert error["code"] == status
    assert error["type"] == {400: "BadRequestError", 404: "NotFoundError"}[status]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (None, "prompt: text, token ids or a list of either is required"),
        ([], "prompt: text, token ids or a list of either is required"),
        ([1, "a"], "prompt: token ids must be integers"),
        ([99], "Token id 99 is out of vocabulary"),
        ([[]], "The decoder prompt cannot be empty"),
    ],
)
async def test_a_prompt_that_is_no_prompt_is_refused(engine: Sim, prompt: object, text: str) -> None:
    got = await engine.post("/v1/completions", {"model": "m", "prompt": prompt})
    assert (got.status_code, text in got.json()["error"]["message"]) == (400, True)


async def test_a_prompt_longer_than_the_model_is_refused() -> None:
    async with sim("--max-model-len", "100") as engine:
        got = await engine.post("/v1/chat/completions", chat(10))
        assert got.status_code == 400
        assert "maximum context length is 100 tokens" in got.json()["error"]["message"]
        assert "you requested 12 output tokens and your prompt contains at least 89 input tokens" in str(got.json())
        assert (await engine.answer(chat(6, max_tokens=None)))["usage"]["total_tokens"] <= 100


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000])
async def test_a_body_that_is_no_json_object_is_refused(engine: Sim, body: bytes) -> None:
    got = await engine.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert got.status_code == 400
    assert got.json()["error"]["type"] == "BadRequestError"


async def test_another_content_type_an_unknown_path_and_a_wrong_method_are_refused_alike(
    engine: Sim,
) -> None:
    form = await engine.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    assert (form.status_code, form.json()["error"]["code"]) == (400, 400)
    unknown = await engine.http.get("/v1/nothing")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, 404)
    method = await engine.http.get("/v1/chat/completions")
    assert (method.status_code, method.json()["error"]["code"]) == (405, 405)


async def test_an_api_key_is_asked_for_under_v1_only() -> None:
    async with sim("--api-key", "one", "two") as engine:
        assert (await engine.post("/v1/chat/completions", chat(1))).status_code == 401
        wrong = {"authorization": "Bearer three"}
        assert (await engine.post("/v1/chat/completions", chat(1), headers=wrong)).status_code == 401
        right = {"authorization": "Bearer two"}
        assert (await engine.post("/v1/chat/completions", chat(1), headers=right)).status_code == 200
        assert await engine.health() == 200


async def test_the_fault_surface_is_absent_unless_asked_for() -> None:
    async with sim(env={"DPD_SIM_ADMIN": "0"}) as engine:
        assert (await engine.http.get("/sim/state")).status_code == 404


@pytest.mark.parametrize("kind", [{}, [], None, 3, "image_url"])
async def test_parts_of_a_content_that_are_no_text_count_for_nothing(engine: Sim, kind: object) -> None:
    parts = [{"type": kind, "text": "never seen"}, {"type": "text", "text": "hi"}]
    got = await engine.post("/v1/chat/completions", {**chat(1), "messages": [{"role": "user", "content": parts}]})
    plain = await engine.post("/v1/chat/completions", {**chat(1), "messages": [{"role": "user", "content": "hi"}]})
    assert got.status_code == plain.status_code == 200
    assert got.json()["usage"]["prompt_tokens"] == plain.json()["usage"]["prompt_tokens"]
