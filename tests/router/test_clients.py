"""What clients get through the router is what they get from the engine, byte for byte."""

import asyncio
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from router.rig import router
from router.simulated import Ports, Sim, pair
from support.ports import free_ports

FOX = "The quick brown fox jumps over the lazy dog. "
CREATED = re.compile(rb'"created(_at)?":\d+')
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "https://images.example/fox.png", "detail": "low"}},
]
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, {}),
    "a stream": (CHAT, {"stream": True}),
    "a stream with usage": (CHAT, {"stream": True, "stream_options": {"include_usage": True}}),
    "a tool": (CHAT, {"tools": [TOOL], "tool_choice": "required"}),
    "a named tool as a stream": (
        CHAT,
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}, "stream": True},
    ),
    "logprobs": (CHAT, {"logprobs": True, "top_logprobs": 3}),
    "logprobs as a stream": (CHAT, {"logprobs": True, "top_logprobs": 2, "stream": True}),
    "several answers": (CHAT, {"n": 3, "temperature": 1, "seed": 7}),
    "several answers as a stream": (CHAT, {"n": 2, "temperature": 1, "seed": 7, "stream": True, "max_tokens": 1}),
    "guided JSON": (CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}}),
    "an image by its URL": (CHAT, {"messages": [{"role": "user", "content": IMAGE}]}),
    "stop strings": (CHAT, {"stop": ["e", "a"], "max_tokens": 50}),
    "spaces, escapes and numbers": (
        CHAT,
        {"user": "\u00e9\u4e16\U0001f98a\u0000", "seed": 2**53 + 1, "metadata": {"a": 1.0}},
    ),
    "a completion": (COMPLETIONS, {"logprobs": 2}),
    "a completion as a stream": (COMPLETIONS, {"stream": True}),
    "an echo": (COMPLETIONS, {"echo": True}),
    "a response": ("/v1/responses", {}),
    "a response as a stream": ("/v1/responses", {"stream": True}),
    "a message": ("/v1/messages", {}),
    "a message as a stream": ("/v1/messages", {"stream": True}),
    "an invocation": ("/invocations", {}),
    "a model that is not there": (CHAT, {"model": "other"}),
    "a value out of bounds": (CHAT, {"temperature": -1}),
    "no prompt at all": (CHAT, {"messages": None}),
}


def body(path: str, changes: dict, text: str) -> dict:
    """A request of the path's form with a prompt of its own."""
    common: dict[str, Any] = {"model": "m", "max_tokens": 12, "temperature": 0}
    match path:
        case "/v1/completions":
            prompt: dict[str, Any] = {"prompt": text}
        case "/v1/responses":
            prompt = {"input": text, "max_output_tokens": 12}
        case _:
            prompt = {"messages": [{"role": "user", "content": text}]}
    return {**common, **prompt, **changes}


@dataclass
class Pair:
    prefiller: Sim
    decoder: Sim
    ports: Ports


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    with pair(tmp_path_factory.mktemp("engines"), ranks=1) as ([prefiller], decoder, ports):
        yield Pair(prefiller, decoder, ports)


def over(engines, **sections):
    sections = {"endpoint": {"invocationPath": "/invocations"}, **sections}
    return router([engines.prefiller], [engines.decoder], transfer=engines.ports.transfer, **sections)


async def got(client: httpx.AsyncClient, url: str, content: bytes, request_id: str):
    """An answer's status, its headers but those of the connection, and its body without the time."""
    headers = {"content-type": "application/json", "x-request-id": request_id}
    answer = await client.post(url, content=content, headers=headers)
    kept = {"content-type"} | ({"content-length"} if answer.status_code != 200 else set())
    return (
        answer.status_code,
        {name: value for name, value in answer.headers.items() if name in kept},
        CREATED.sub(b'"created":0', answer.content),
    )


@pytest.mark.parametrize("long", [False, True], ids=["short", "disaggregated"])
async def test_every_answer_has_the_engines_own_bytes(engines, long):
    async with over(engines) as up, httpx.AsyncClient(timeout=60) as client:
        wrong: dict[str, Any] = {}
        for name, (path, changes) in ASKS.items():
            text = f"{name}: " + (FOX * 600 if long else FOX)
            content = json.dumps(body(path, changes, text), ensure_ascii=False, indent=1).encode()
            through = await got(client, f"http://127.0.0.1:{up.port}{path}", content, "r-" + str(len(wrong)))
            direct = await got(client, f"{engines.decoder.url}{path}", content, "r-" + str(len(wrong)))
            if through != direct:
                wrong[name] = (through, direct)
        assert wrong == {}
        routed = [line for line in up.lines if "] access " in line and "route=disaggregated" in line]
        assert bool(routed) is long
        if long:  # what goes to a prefiller does so in every form of request
            assert {re.search(r"path=(\S+)", line)[1] for line in routed} == {path for path, _ in ASKS.values()}  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/tokenize", {"prompt": FOX}),
        ("/tokenize", {"messages": [{"role": "user", "content": FOX}]}),
        ("/detokenize", {"tokens": [1, 2]}),
        ("/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": FOX}]}),
        ("/v1/embeddings", {"input": FOX}),
    ],
)
async def test_what_is_relayed_has_the_engines_own_bytes(engines, path, content):
    async with over(engines) as up, httpx.AsyncClient(timeout=60) as client:
        raw = json.dumps(content).encode()
        through = await got(client, f"http://127.0.0.1:{up.port}{path}", raw, "r")
        assert through == await got(client, f"{engines.decoder.url}{path}", raw, "r")


async def test_a_pooling_model_is_served_through_the_router(tmp_path):
    (port,) = free_ports(1)
    pooling = Sim(port, None, ["--runner", "pooling"], tmp_path / "pooling.log")
    asked = {
        "/v1/embeddings": {"input": ["a", "b"]},
        "/invocations": {"input": "a"},
        "/score": {"text_1": "a", "text_2": ["a", "b"]},
        "/v1/score": {"text_1": "a", "text_2": "b"},
        "/rerank": {"query": "a", "documents": ["b", "a"]},
        "/v1/rerank": {"query": "a", "documents": ["b", "a"]},
        "/v2/rerank": {"query": "a", "documents": ["b", "a"]},
    }
    try:
        pooling.start()
        await asyncio.to_thread(pooling.wait)
        endpoint = {"invocationPath": "/v1/embeddings"}
        async with router(worker=[pooling], endpoint=endpoint) as up, httpx.AsyncClient(timeout=60) as client:
            for path, content in asked.items():
                raw = json.dumps(content).encode()
                through = await got(client, f"http://127.0.0.1:{up.port}{path}", raw, "r")
                own = "/v1/embeddings" if path == "/invocations" else path
                assert through == await got(client, f"{pooling.url}{own}", raw, "r")
                assert through[0] == 200
            url = f"http://127.0.0.1:{up.port}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as api:
                found = await api.embeddings.create(model="m", input="a", encoding_format="float")
                assert len(found.data[0].embedding) == 8
    finally:
        pooling.kill()


async def test_no_answer_tells_of_its_transfer(engines):
    async with over(engines) as up, httpx.AsyncClient(timeout=60) as client:
        for path in (CHAT, COMPLETIONS, "/v1/responses", "/v1/messages"):
            for stream in (False, True):
                asked = body(path, {"stream": stream}, f"{path}{stream} {FOX * 600}")
                answer = await client.post(f"http://127.0.0.1:{up.port}{path}", json=asked)
                assert answer.status_code == 200
                assert b"lmcache.tag" not in answer.content
                assert b"disagg_spec" not in answer.content
                assert b'"kv_transfer_params":{' not in answer.content


def plain(answer) -> dict:
    found = answer.model_dump()
    return {key: value for key, value in found.items() if key not in ("id", "created", "created_at")}


async def both(engines, up, ask):
    """What the openai client makes of an answer through the router, and of the engine's own."""
    found = []
    for url in (f"http://127.0.0.1:{up.port}/v1", f"{engines.decoder.url}/v1"):
        async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as api:
            found.append(await ask(api))
    return found


# What the client itself refuses, or sends otherwise, says nothing of the router.
OTHERS = ("a model that is not there", "a value out of bounds", "no prompt at all", "spaces, escapes and numbers")


@pytest.mark.parametrize("name", [name for name, (path, _) in ASKS.items() if path == CHAT and name not in OTHERS])
async def test_the_openai_client_reads_the_same(engines, name):
    _, changes = ASKS[name]
    path = CHAT
    asked = body(path, changes, f"client {name}: {FOX * 500}")

    async def ask(api):
        answer = await api.chat.completions.create(**asked)
        return [plain(chunk) async for chunk in answer] if asked.get("stream") else plain(answer)

    async with over(engines) as up:
        through, direct = await both(engines, up, ask)
        assert through == direct
        assert through


async def test_the_openai_client_reads_responses_models_and_errors(engines):
    async def ask(api):
        response = await api.responses.create(model="m", input=FOX * 500, max_output_tokens=9, temperature=0)
        with pytest.raises(openai.NotFoundError) as missing:
            await api.chat.completions.create(model="other", messages=[{"role": "user", "content": "a"}])
        with pytest.raises(openai.BadRequestError) as wrong:
            await api.chat.completions.create(model="m", messages=[])
        models = [plain(model) async for model in await api.models.list()]
        return response.output_text, models, missing.value.body, wrong.value.body

    async with over(engines) as up:
        through, direct = await both(engines, up, ask)
        assert through == direct


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_reads_the_same_as_it_comes(engines):
    async with over(engines) as up:
        found = []
        for url in (f"http://127.0.0.1:{up.port}", engines.decoder.url):
            asked = json.dumps(body(CHAT, {"stream": True}, f"curl {FOX * 500}"))
            headers = ["-H", "content-type: application/json", "-H", "x-request-id: curl"]
            command = ["curl", "-sS", "-N", "-k", "-X", "POST", url + CHAT, *headers, "-d", "@-"]
            done = await asyncio.to_thread(
                subprocess.run, command, input=asked.encode(), capture_output=True, timeout=60, check=True
            )
            found.append(CREATED.sub(b'"created":0', done.stdout))
        assert found[0] == found[1]
        assert found[0].endswith(b"data: [DONE]\n\n")
