import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from dpd_sim.core import tokenizer
from simulator.engines import FOX, Sim, chat, settled, sim

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Sim]:
    async with sim() as made:
        yield made


def client(engine: Sim) -> Any:
    return openai.AsyncOpenAI(base_url=f"{engine.http.base_url}/v1", api_key="unused", max_retries=0)


async def test_the_openai_client_gets_a_chat_answer_with_its_usage(engine: Sim) -> None:
    async with client(engine) as api:
        got = await api.chat.completions.create(
            model="m", messages=[{"role": "user", "content": FOX * 600}], max_tokens=30, temperature=0
        )
    assert got.choices[0].finish_reason == "length"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (6035, 30, 6065)
    assert got.id.startswith("chatcmpl-")


async def test_a_stream_says_what_the_whole_answer_says(engine: Sim) -> None:
    async with client(engine) as api:
        ask: dict[str, Any] = {**chat(3), "max_tokens": 20}
        whole = await api.chat.completions.create(**ask)
        stream = await api.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


async def test_a_stream_is_server_sent_events_that_end_with_done(engine: Sim) -> None:
    response = await engine.post("/v1/chat/completions", chat(1, max_tokens=2, stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") for event in events[:-2])
    assert json.loads(events[0][6:])["object"] == "chat.completion.chunk"


async def test_completions_answer_text_tokens_and_lists_of_either(engine: Sim) -> None:
    async with client(engine) as api:
        one = await api.completions.create(model="m", prompt="hello world", max_tokens=5, temperature=0)
        ids = [tokenizer.BEGIN, *tokenizer.encode("hello world")]
        same = await api.completions.create(model="m", prompt=ids, max_tokens=5, temperature=0)
        two = await api.completions.create(model="m", prompt=["hello world", "bye"], max_tokens=5, temperature=0)
    assert one.choices[0].text == same.choices[0].text == two.choices[0].text
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[1].text != one.choices[0].text
    assert one.usage is not None
    assert one.usage.prompt_tokens == 3


async def test_completions_stream(engine: Sim) -> None:
    async with client(engine) as api:
        whole = await api.completions.create(model="m", prompt="hi", max_tokens=9, temperature=0)
        stream = await api.completions.create(model="m", prompt="hi", max_tokens=9, temperature=0, stream=True)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_an_echo_starts_with_the_prompt(engine: Sim) -> None:
    got = await engine.answer({"model": "m", "prompt": "hello", "max_tokens": 1, "echo": True}, "/v1/completions")
    assert got["choices"][0]["text"].startswith("hello")


@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_differ_when_sampled_and_come_back_alike_for_a_seed(engine: Sim, stream: bool) -> None:
    async def texts() -> list[str]:
        body = chat(1, n=3, temperature=1, seed=5, max_tokens=15, stream=stream)
        response = await engine.post("/v1/chat/completions", body)
        if not stream:
            return [choice["message"]["content"] for choice in response.json()["choices"]]
        found = ["", "", ""]
        for event in response.text.split("\n\n")[:-2]:
            for choice in json.loads(event[6:])["choices"]:
                found[choice["index"]] += choice["delta"].get("content") or ""
        return found

    first = await texts()
    assert len(set(first)) == 3
    assert await texts() == first


async def test_two_engines_answer_alike(engine: Sim) -> None:
    async with sim("--tensor-parallel-size", "4") as other:
        assert await other.text(chat(7)) == await engine.text(chat(7))


async def test_chat_logprobs_list_each_token_with_its_runners_up(engine: Sim) -> None:
    async with client(engine) as api:
        got = await api.chat.completions.create(**chat(1, max_tokens=4), logprobs=True, top_logprobs=3)
    found = got.choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert "".join(entry.token for entry in found.content) == got.choices[0].message.content
    assert all(len(entry.top_logprobs) == 3 and entry.top_logprobs[0].token == entry.token for entry in found.content)
    assert all(entry.logprob < 0 for entry in found.content)


async def test_completion_logprobs_come_in_columns(engine: Sim) -> None:
    async with client(engine) as api:
        got = await api.completions.create(model="m", prompt="hi", max_tokens=4, logprobs=2, temperature=0)
    found = got.choices[0].logprobs
    assert found is not None
    assert "".join(found.tokens or []) == got.choices[0].text
    assert (found.text_offset or [])[0] == 0
    assert [len(row) for row in found.top_logprobs or []] == [2, 2, 2, 2]


async def test_a_stop_string_ends_a_stream_without_showing_it(engine: Sim) -> None:
    whole = await engine.text(chat(1, max_tokens=30))
    stop = whole.split()[6]
    response = await engine.post("/v1/chat/completions", chat(1, max_tokens=30, stop=stop, stream=True))
    events = [json.loads(event[6:])["choices"][0] for event in response.text.split("\n\n")[:-2]]
    assert "".join(event["delta"].get("content") or "" for event in events) == whole[: whole.index(stop)]
    assert (events[-1]["finish_reason"], events[-1]["stop_reason"]) == ("stop", stop)


async def test_a_forced_tool_call_has_the_arguments_its_schema_wants(engine: Sim) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    async with client(engine) as api:
        got = await api.chat.completions.create(**chat(1, max_tokens=60), tools=[WEATHER], tool_choice=choice)
        stream = await api.chat.completions.create(
            **chat(1, max_tokens=60), tools=[WEATHER], tool_choice="required", stream=True
        )
        deltas = [chunk.choices[0].delta async for chunk in stream]
    calls = got.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "weather"
    assert json.loads(calls[0].function.arguments) == {"city": "a", "days": 1}
    parts = [call for delta in deltas for call in delta.tool_calls or []]
    assert parts[0].function.name == "weather"
    assert json.loads("".join(part.function.arguments or "" for part in parts)) == {"city": "a", "days": 1}


async def test_a_tool_call_left_to_the_model_needs_its_flags(engine: Sim) -> None:
    refused = await engine.post("/v1/chat/completions", chat(1, tools=[WEATHER]))
    assert refused.status_code == 400
    assert "--enable-auto-tool-choice" in refused.json()["error"]["message"]
    async with sim("--enable-auto-tool-choice", "--tool-call-parser", "llama3_json") as allowed:
        assert await allowed.text(chat(1, tools=[WEATHER]))


async def test_an_answer_guided_by_a_schema_fits_it(engine: Sim) -> None:
    properties = {"a": {"type": "array", "items": {"type": "number"}}, "b": {"enum": ["x"]}}
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": properties}}}
    assert json.loads(await engine.text(chat(1, max_tokens=60, response_format=wanted))) == {"a": [1.5], "b": "x"}


async def test_tokenize_counts_what_usage_counts_and_detokenize_undoes_it(engine: Sim) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": FOX}]}
    counted = (await engine.answer(body, "/tokenize"))["count"]
    assert counted == (await engine.answer({**body, "max_tokens": 1}))["usage"]["prompt_tokens"] == 45
    plain = await engine.answer({"model": "m", "prompt": "hello world"}, "/tokenize")
    assert plain["max_model_len"] == 16384
    back = await engine.answer({"model": "m", "tokens": plain["tokens"]}, "/detokenize")
    assert back == {"prompt": "hello world"}


async def test_the_model_card_has_the_served_names_and_the_length() -> None:
    async with sim("--served-model-name", "a", "b") as engine, client(engine) as api:
        cards = (await api.models.list()).data
        assert [card.id for card in cards] == ["a", "b"]
        assert (await engine.http.get("/v1/models")).json()["data"][0]["max_model_len"] == 16384


async def test_an_answers_id_carries_the_callers_request_id() -> None:
    async with sim("--enable-request-id-headers") as engine:
        got = await engine.post("/v1/chat/completions", chat(1), headers={"x-request-id": "abc"})
        assert got.json()["id"] == "chatcmpl-abc"
        assert got.headers["x-request-id"] == "abc"


async def test_plain_routes_answer(engine: Sim) -> None:
    for path in ("/health", "/ping"):
        assert (await engine.http.get(path)).status_code == 200
    assert (await engine.http.get("/version")).json() == {"version": "0.19.0"}
    got = await engine.answer(chat(1), "/invocations")
    assert got["object"] == "chat.completion"
    text = await engine.answer({"model": "m", "prompt": "x"}, "/invocations")
    assert (text["object"], text["usage"]["completion_tokens"]) == ("text_completion", 16)


async def test_errors_and_delays_can_be_asked_for(engine: Sim) -> None:
    await engine.post("/sim/errors", {"count": 2, "status": 503})
    await engine.post("/sim/delay", {"count": 1, "seconds": 0.05})
    assert [(await engine.post("/v1/chat/completions", chat(1))).status_code for _ in range(3)] == [503, 503, 200]


async def test_a_killed_engine_fails_what_runs_and_what_comes(engine: Sim) -> None:
    await engine.post("/sim/hang", {})
    stream = asyncio.create_task(engine.post("/v1/chat/completions", chat(1, stream=True)))
    await settled(lambda: _counts(engine, "waiting", 1))
    await engine.post("/sim/kill", {"reason": "exercise"})
    await engine.post("/sim/resume", {})
    events = (await stream).text.split("\n\n")
    assert json.loads(events[-3][6:])["error"]["code"] == 500
    assert events[-2] == "data: [DONE]"
    assert await engine.health() == 503
    assert (await engine.post("/v1/chat/completions", chat(1))).status_code == 500


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_request(engine: Sim, stream: bool) -> None:
    await engine.post("/sim/delay", {"step": 20})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.post("/v1/chat/completions", chat(1, max_tokens=1000, stream=stream)), 0.3)
    await settled(lambda: _counts(engine, "running", 0))
    state = await engine.state()
    assert state["blocks_free"] == state["blocks_total"]


async def _counts(engine: Sim, name: str, count: int) -> bool:
    return bool((await engine.state())[name] == count)
