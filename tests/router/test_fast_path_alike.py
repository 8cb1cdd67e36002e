"""Nobody outside can tell the fast path from the path but by its time: bytes, lines and figures are the same."""

import asyncio
from functools import partial
from typing import Any

import pytest

from router.conversing import converse
from router.rig import LONG, OK, STREAM, chunk, engine, get, request, router, short, statuses

EVENT = b'data: {"x":1}\n\n'
LAST = b"0\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CLOSE = b"connection: close\r\n"
ANSWERED = STREAM + chunk(EVENT) + chunk(EVENT) + LAST
TAKEN, HANDED, LEFT = "taken", "handed over", "left alone"


def script(*parts: bytes, close: bool = False, reset: bool = False, pause: float = 0.003):
    """An engine that says one part after the other, and then perhaps goes."""

    async def answer(seen, reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if reset:
            writer.transport.abort()
        if close:
            writer.close()

    return answer


def bytewise(data: bytes):
    return script(*(data[at : at + 1] for at in range(len(data))), pause=0)


def way(ways, before) -> set[str]:
    taken, handed, left = before
    found = {TAKEN: ways.taken - taken - (ways.handed - handed), HANDED: ways.handed - handed, LEFT: ways.left - left}
    return {name for name, times in found.items() if times}


async def both(ways, messages, script, **sections):
    """Return what is heard with the fast path and without, and which ways were gone with it."""
    sections = {"health": {"intervalSeconds": 60}, "timeouts": {"upstreamKeepAliveSeconds": 60}} | sections
    async with engine(script) as decoder:
        heard, gone = [], [set[str](), set[str]()]
        for fast in (True, False):
            async with router(decode=[decoder], fast=fast, **sections) as up:
                before = (ways.taken, ways.handed, ways.left)
                heard.append(await converse(up, [decoder], messages))
                gone[fast] = way(ways, before)
        assert not gone[False]
        return *heard, gone[True]


CHAT, CHAT_STREAM = short(), short(stream=True)
PROMPT = {"model": "m", "prompt": "hi"}
ODD_PROMPTS: list[Any] = [None, 1, {}, [], [None], [[]], [1, "a"], ["a", 1], [[1, {}]], [True]]
ODD_MESSAGES: list[Any] = [None, "a", {}, [1, None], [{"content": [1, {"text": 2}]}]]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
KEYS = b"Authorization: Bearer k\r\nX-API-Key: j\r\n"
keep = partial(request, CHAT)
ask = keep(headers=b"expect: 100-continue\r\n")

REQUESTS = {
    "a chat": ([request(CHAT), request(CHAT, headers=CLOSE)], {TAKEN}),
    "a stream": ([request(CHAT_STREAM)] * 3, {TAKEN}),
    "a completion": ([request(PROMPT, "/v1/completions")], {TAKEN}),
    "a stream of a completion": ([request({**PROMPT, "stream": True}, "/v1/completions")], {TAKEN}),
    "a message": ([request({**CHAT, "system": "s", "max_tokens": 1}, "/v1/messages")], {TAKEN}),
    "a stream that is asked for in another word": ([request(short(stream="yes")), request(short(stream=1))], {TAKEN}),
    "keys of the engine's": ([keep(headers=KEYS)] * 2, {TAKEN}),
    "the alias": ([keep(path="/invocations"), keep(path="/invocations?a=b")], {TAKEN}),
    "the endpoint's own path": ([keep(path="/generate?a=b"), keep(path="/invocations")], {TAKEN}),
    "a query": ([keep(path="/v1/chat/completions?a=b&c=%20")], {TAKEN}),
    "an id of the client's": ([keep(headers=b"x-request-id: mine\r\n")] * 2, {TAKEN}),
    "an id that does not fit": ([keep(headers=b"x-request-id: a b\r\n")] * 2, {TAKEN}),
    "headers that end here": (
        [keep(headers=b"te: trailers\r\nkeep-alive: 5\r\nconnection: keep-alive, x-a\r\nx-a: 1\r\nx-b:  2 \r\n")] * 2,
        {TAKEN},
    ),
    "a header twice": ([keep(headers=b"x-a: 1\r\nX-A: 2\r\nx-dpd-transfer: read\r\nx_a:\r\n")] * 2, {TAKEN}),
    "several answers": ([request(short(n=3, best_of=2))], {TAKEN}),
    "tools and logprobs": ([request(short(tools=TOOLS, logprobs=True, top_logprobs=2))], {TAKEN}),
    "logprobs of the prompt": ([request({**PROMPT, "echo": True, "logprobs": 1}, "/v1/completions")], {TAKEN}),
    "token ids": ([request({"prompt": [1, 2, 3]}, "/v1/completions")], {TAKEN}),
    "several prompts": ([request({"prompt": ["a", "b"]}, "/v1/completions")], {TAKEN}),
    "a body spelled in its own way": ([keep(), request(b' { "prompt" : "\\u0041\xc3\xa4" , "seed":1e400 }\n')], None),
    "bodies of several lengths": ([request(short(user="u" * each)) for each in (0, 900, 9, 9000, 90)], {TAKEN}),
    "one behind the other": ([keep() + keep() + keep(headers=CLOSE)], {TAKEN}),
    "one in pieces": ([keep(), [keep()[:50], keep()[50:90], keep()[90:]], keep()], {TAKEN}),
    "chunks": (
        [
            b"POST /v1/completions HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunk(b'{"prompt":"a"}')
            + LAST
        ],
        {TAKEN},
    ),
    "a question before the body": ([[ask[:-63], ask[-63:]], keep()], {TAKEN}),
    "an older client": ([keep(version=b"1.0")], {LEFT}),
    "a long prompt": ([request(short(user="u", messages=[{"content": "x" * 20000}]))], {LEFT}),
    "a body of many bytes": ([request({**PROMPT, "user": LONG}, "/v1/completions")], {LEFT}),
    "a transfer's parameters": ([request(short(kv_transfer_params={"a": 1})), request(short(vllm_xargs={}))], {LEFT}),
    "no prompt": ([request({"model": "m"}), request({}), request([]), request(b"{"), request(b"")], {LEFT}),
    "no text": ([request(b'{"prompt":"\\ud800"}'), request(b'{"prompt":"\xff"}')], {LEFT}),
    "too deep": ([request(b'{"prompt":' + b"[" * 8000 + b"]" * 8000 + b"}")], {LEFT}),
    "a response": ([request({"input": "a"}, "/v1/responses"), request(PROMPT, "/v1/responses")], {LEFT}),
    "a number without end": ([request(b'{"prompt":[' + b"1" * digits + b"]}") for digits in (300, 4300, 5000)], None),
    "odd prompts": (
        [request({"prompt": each}) for each in ODD_PROMPTS] + [request({"messages": each}) for each in ODD_MESSAGES],
        {TAKEN},
    ),
    "what is relayed": ([request(PROMPT, "/tokenize"), request(PROMPT, "/nowhere"), keep()], {LEFT, TAKEN}),
    "what is no POST": ([get("/v1/chat/completions", b""), get("/health", b"") + keep()], None),
    "a broken one behind": ([keep() + b"nonsense\r\n\r\n"], {TAKEN}),
}


@pytest.mark.parametrize(("messages", "expected"), REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("answer", [OK, ANSWERED], ids=["whole", "in chunks"])
async def test_a_request_is_served_alike(ways, messages, expected, answer):
    heard, wanted, gone = await both(ways, messages, script(answer), endpoint={"invocationPath": "/generate"})
    assert heard == wanted
    assert expected is None or gone == expected


async def test_the_alias_of_responses_is_a_response(ways):
    messages = [request(PROMPT, "/invocations"), request({"input": "a"}, "/invocations")]
    heard, wanted, _ = await both(ways, messages, script(OK), endpoint={"invocationPath": "/v1/responses"})
    assert heard == wanted


async def test_a_key_and_a_withdrawn_one_are_told_alike(ways, tmp_path):
    (tmp_path / "team").write_text("k\n")
    auth = {"keysDirectory": str(tmp_path), "rateLimit": {"requestsPerMinute": 1, "burst": 3}}
    asked = keep(headers=b"authorization: Bearer k\r\nx-a: 1\r\n")
    other = keep(headers=b"authorization: Bearer other\r\nx-a: 1\r\n")
    heard, wanted, gone = await both(ways, [asked, asked, other, asked, asked], script(OK), auth=auth)
    assert heard == wanted
    assert gone == {TAKEN, LEFT}
    assert statuses(heard.client) == [200, 200, 401, 200, 429]
    assert 'dpd_router_key_requests_total{code="200",key="team"} 3.0' in heard.metrics
    assert b"authorization" not in heard.engine[0][0]


@pytest.mark.parametrize("dies", [script(close=True), script(b"HTTP/1.1 200", close=True), script(reset=True)])
async def test_an_engine_that_dies_before_it_answers_is_replaced_alike(ways, dies):
    heard = []
    async with engine(dies) as one, engine(script(ANSWERED)) as other:
        for fast in (True, False):
            sections = {"health": {"intervalSeconds": 60}, "ejection": {"failures": 0}}
            async with router(decode=[one, other], fast=fast, **sections) as up:
                heard.append(await converse(up, [one, other], [request(CHAT), request(CHAT_STREAM)]))
    assert heard[0] == heard[1]
    assert statuses(heard[0].client) == [200, 200]
    assert any("reason=decoder_died" in line for line in heard[0].lines)
    assert ways.handed
