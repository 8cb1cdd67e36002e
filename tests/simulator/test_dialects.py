import json
from typing import Any

import openai
import pytest

from simulator.engines import chat, sim


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_response_says_what_a_chat_says_and_the_openai_client_reads_it() -> None:
    async with sim() as made:
        text = await made.text({**chat(3), "max_tokens": 20, "temperature": 0})
        api = openai.AsyncOpenAI(base_url=f"{made.http.base_url}/v1", api_key="unused", max_retries=0)
        async with api:
            words = chat(3)["messages"][0]["content"]
            got = await api.responses.create(model="m", input=words, max_output_tokens=20, temperature=0)
            assert (got.output_text, got.status) == (text, "incomplete")
            assert got.usage is not None
            assert got.usage.output_tokens == 20
            stream = await api.responses.create(
                model="m", input=words, max_output_tokens=20, temperature=0, stream=True
            )
            told = [event async for event in stream]
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == text
    assert (told[0].type, told[-1].type) == ("response.created", "response.completed")


async def test_a_message_says_what_a_chat_says_whole_and_as_a_stream() -> None:
    async with sim() as made:
        ask = {**chat(3), "max_tokens": 20, "temperature": 0}
        text = await made.text(ask)
        whole = await made.answer(ask, "/v1/messages")
        assert whole["content"] == [{"type": "text", "text": text}]
        assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("max_tokens", 20)
        told = events((await made.post("/v1/messages", {**ask, "stream": True})).text)
        assert [name for name, _ in told][:2] == ["message_start", "content_block_start"]
        assert [name for name, _ in told][-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert "".join(data["delta"]["text"] for name, data in told if name == "content_block_delta") == text
        count = await made.answer({"model": "m", "messages": ask["messages"]}, "/v1/messages/count_tokens")
        assert count["input_tokens"] == whole["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/responses", {}, 400),
        ("/v1/responses", {"input": []}, 400),
        ("/v1/responses", {"input": "a", "background": True}, 400),
        ("/v1/responses", {"input": "a", "previous_response_id": "resp_1"}, 404),
        ("/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "a"}]}, 400),
        ("/v1/messages", {"model": "m", "messages": "a", "max_tokens": 1}, 400),
        ("/v1/messages/count_tokens", {"messages": []}, 400),
        ("/v1/embeddings", {"input": "a"}, 404),
    ],
)
async def test_what_vllm_refuses_is_refused(path: str, body: dict[str, Any], status: int) -> None:
    async with sim() as made:
        assert (await made.post(path, body)).status_code == status


async def test_an_engine_with_a_pooling_model_serves_vectors_scores_and_ranks_and_no_text() -> None:
    async with sim("--runner", "pooling") as made:
        found = await made.answer({"input": ["a", "b"]}, "/v1/embeddings")
        assert [row["index"] for row in found["data"]] == [0, 1]
        assert (
            found["data"][0]["embedding"]
            == (await made.answer({"input": "a"}, "/v1/embeddings"))["data"][0]["embedding"]
        )
        assert len((await made.answer({"input": [1, 2]}, "/v1/embeddings"))["data"]) == 1
        for path in ("/score", "/v1/score"):
            scored = await made.answer({"text_1": "a", "text_2": ["a", "b"]}, path)
            assert scored["data"][0]["score"] == pytest.approx(1)
        for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
            ranked = await made.answer({"query": "a", "documents": ["b", "a", "c"], "top_n": 2}, path)
            assert ranked["results"][0]["index"] == 1
            assert len(ranked["results"]) == 2
        assert (await made.post("/v1/chat/completions", chat(1))).status_code == 404
        for path, body in (
            ("/v1/embeddings", {"input": []}),
            ("/v1/embeddings", {"input": [[-1]]}),
            ("/v1/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}),
            ("/v1/rerank", {"query": 1, "documents": ["a"]}),
            ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": "x"}),
        ):
            assert (await made.post(path, body)).status_code == 400
