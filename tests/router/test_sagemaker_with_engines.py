"""boto3, the router, and simulated engines as processes of their own: an answer is the same by either API."""

import asyncio
import json

import httpx
import pytest

from router.rig import router
from router.simulated import pair

FOX = "The quick brown fox jumps over the lazy dog. "
SHORT = {"model": "m", "messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 8, "temperature": 0}
LONG = {**SHORT, "messages": [{"role": "user", "content": FOX * 600}]}
NAME = {"endpointName": "chat"}


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    with pair(tmp_path_factory.mktemp("engines")) as ([prefiller], decoder, ports):
        yield prefiller, decoder, ports


def over(engines, **sections):
    prefiller, decoder, ports = engines
    return router([prefiller], [decoder], transfer=ports.transfer, sagemaker=NAME, **sections)


async def said(up, body):
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(f"http://127.0.0.1:{up.port}/v1/chat/completions", json=body)
    return answer.json()["choices"][0]["message"]["content"]


def deltas(parts):
    """The text of a streamed chat, out of the parts of a payload."""
    text = b"".join(parts).decode()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    choices = [json.loads(line)["choices"] for line in lines[:-1]]
    return "".join(each[0]["delta"].get("content") or "" for each in choices if each)


@pytest.mark.parametrize("body", [SHORT, LONG], ids=["short", "long"])
async def test_an_invocation_says_what_the_other_api_says(engines, boto, body):
    async with over(engines) as up:
        answer = json.loads(await boto.read(await boto.invoke(up, body)))
        assert answer["choices"][0]["message"]["content"] == await said(up, body)


@pytest.mark.parametrize("body", [SHORT, LONG], ids=["short", "long"])
async def test_a_stream_of_parts_says_what_the_other_api_says(engines, boto, body):
    async with over(engines) as up:
        answer = await boto.stream(up, {**body, "stream": True})
        assert deltas(await boto.parts(answer)) == await said(up, body)


async def test_pages_of_a_stream_that_is_left_are_given_back(engines, boto):
    _, decoder, _ = engines
    async with over(engines) as up:
        body = (await boto.stream(up, {**LONG, "stream": True, "max_tokens": 4000}))["Body"]
        await asyncio.to_thread(next, iter(body))
        body.close()
        await up.until(lambda: any("end=client_left" in line for line in up.lines), 10)
        await up.until(lambda: not decoder.used(), 10)


async def test_without_an_invocation_path_of_its_own_engines_are_asked_at_theirs(engines, boto):
    async with over(engines, endpoint={"name": "e", "invocationPath": "invocations"}) as up:
        answer = json.loads(await boto.read(await boto.invoke(up, SHORT)))
        assert answer["choices"][0]["message"]["content"] == await said(up, SHORT)
