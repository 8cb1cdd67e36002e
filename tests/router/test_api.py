"""What is served, by the table; everything else never reaches an engine."""

import json

import pytest

from dpd_router.api import Kind, Routes
from dpd_router.api.openapi import document
from dpd_router.api.routes import ALIAS
from router.rig import LONG, engine, get, request, router, short, statuses
from support.paths import ROOT

RELAYED = [row.path for row in Routes("/v1/chat/completions") if row.kind is Kind.RELAY]
# Paths that vLLM serves beside these: what loads, unloads, pauses, profiles, or runs what it is sent.
ADMIN = [
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/collective_rpc",
    "/reset_prefix_cache",
    "/reset_mm_cache",
    "/reset_encoder_cache",
    "/sleep",
    "/wake_up",
    "/is_sleeping",
    "/pause",
    "/resume",
    "/start_profile",
    "/stop_profile",
    "/init_weight_transfer_engine",
    "/update_weights",
    "/scale_elastic_ep",
    "/abort_requests",
    "/inference/v1/generate",
    "/generate",
    "/server_info",
    "/load",
    "/version",
    "/docs",
    "/tokenizer_info",
    "/v1/responses/resp_1",
    "/v1/responses/resp_1/cancel",
    "/v1/realtime",
]
SPELLINGS = [
    "/sleep/",
    "//sleep",
    "/./sleep",
    "/v1/../sleep",
    "/v1/models/../../sleep",
    "/%73leep",
    "/v1%2f..%2fsleep",
    "/v1/models;/../../sleep",
    "/V1/models",
    "/v1/models%00",
    "/v1//models",
    "*",
]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"])
async def test_a_long_prompt_of_any_of_the_apis_uses_a_prefiller(path):
    body = {"input": LONG} if path.endswith("responses") else {"prompt": LONG, "messages": [{"content": LONG}]}
    async with (
        engine() as prefiller,
        engine() as decoder,
        router([prefiller], [decoder], routing={"threshold": 0}) as up,
    ):
        assert statuses(await up.post({**body, "model": "m", "max_tokens": 9}, path)) == [200]
        (prefilled,), (decoded,) = prefiller.seen, decoder.seen
        assert prefilled.path == decoded.path == path
        assert prefilled.json["max_tokens"] == 1
        assert prefilled.json.get("max_output_tokens") == (1 if "input" in body else None)
        assert decoded.json["max_tokens"] == 9
        assert decoded.json.keys() - body.keys() == {"model", "max_tokens", "kv_transfer_params"}


@pytest.mark.parametrize("path", RELAYED)
async def test_what_generates_nothing_goes_to_one_worker_and_never_to_a_prefiller(path):
    async with (
        engine() as prefiller,
        engine() as decoder,
        router([prefiller], [decoder], routing={"threshold": 0}) as up,
    ):
        body = json.dumps({"input": LONG, "prompt": LONG, "messages": []}).encode()
        assert statuses(await up.post(body, path + "?a=b")) == [200]
        assert (decoder.seen[0].path, decoder.seen[0].body) == (path + "?a=b", body)
        assert prefiller.seen == []
        (line,) = [line for line in up.lines if "request_id=" in line and "access" in line]
        assert "route=direct reason=relayed" in line
        assert not any("Conditional routing" in line for line in up.lines)


async def test_what_generates_nothing_goes_elsewhere_when_its_worker_cannot_be_reached():
    async with engine() as gone, engine() as well, router(decode=[gone, well], health={"intervalSeconds": 60}) as up:
        await gone.close()
        up.router.connections.close()
        for _ in range(2):
            assert statuses(await up.post({"prompt": "a"}, "/tokenize")) == [200]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"input": LONG}, "threshold"),
        ({"input": LONG, "background": False, "tools": [{"type": "function", "name": "f"}]}, "threshold"),
        ({"input": LONG, "previous_response_id": "resp_1"}, "stateful"),
        ({"input": LONG, "background": True}, "stateful"),
        ({"input": LONG, "tools": [{"type": "web_search_preview"}]}, "fan_out"),
        ({"input": LONG, "tools": ["?"]}, "fan_out"),
        ({"messages": []}, "relayed"),
    ],
)
async def test_a_response_that_needs_what_one_engine_keeps_or_does_is_not_disaggregated(body, reason):
    async with (
        engine() as prefiller,
        engine() as decoder,
        router([prefiller], [decoder], routing={"threshold": 0}) as up,
    ):
        await up.post(body, "/v1/responses")
        assert f"reason={reason} " in next(line for line in up.lines if "access" in line)


@pytest.mark.parametrize(
    ("body", "prefilled"), [({"prompt": LONG}, 1), ({"messages": []}, 1), ({"input": LONG}, 0), ({"text_1": "a"}, 0)]
)
async def test_the_endpoints_own_path_takes_what_its_body_says(body, prefilled):
    sections = {"endpoint": {"invocationPath": "/invocations"}, "routing": {"threshold": 0}}
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder], **sections) as up:
        assert statuses(await up.post(body, "/invocations")) == [200]
        assert len(prefiller.seen) == prefilled
        assert decoder.seen[0].path == "/invocations"


async def test_invocations_is_what_the_endpoints_own_path_is():
    sections = {"endpoint": {"invocationPath": "/v1/embeddings"}, "routing": {"threshold": 0}}
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder], **sections) as up:
        assert statuses(await up.post({"input": "a", "prompt": LONG}, "/invocations")) == [200]
        assert decoder.seen[0].path == "/v1/embeddings"
        assert prefiller.seen == []


@pytest.mark.parametrize("path", [*ADMIN, *SPELLINGS])
async def test_no_other_path_of_an_engine_is_reached_however_it_is_spelled(path):
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(request(short(), path) + get(path))
        assert set(statuses(answer)) <= {400, 404}, answer
        assert b'{"error":{"message":"' in answer
        assert decoder.seen == []


async def test_every_served_path_names_the_methods_it_takes_when_it_gets_another():
    async with engine() as decoder, router(decode=[decoder]) as up:
        for row in Routes("/v1/chat/completions"):
            for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} - set(row.methods):
                answer = await up.raw(get(row.path, method=method))
                assert statuses(answer) == [405], (method, row.path)
                assert b"allow: " + ", ".join(row.methods).encode() + b"\r\n" in answer
        assert decoder.seen == []


async def test_the_description_of_everything_served_is_served_itself():
    async with engine() as decoder, router(decode=[decoder], endpoint={"invocationPath": "/mine"}) as up:
        answer = await up.raw(get("/openapi.json"))
        described = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert set(described["paths"]) == Routes("/mine").paths
        assert described["openapi"] == "3.1.0"


def test_every_reference_of_the_description_leads_somewhere():
    text = document(Routes("/mine")).decode()
    described = json.loads(text)
    parts = text.split('"$ref":"#/')[1:]
    assert parts
    for reference in (part[: part.index('"')] for part in parts):
        found = described
        for key in reference.split("/"):
            found = found[key]


WORDS = {
    Kind.PATH: "may use a prefiller",
    Kind.RELAY: "one worker answers",
    Kind.LIST: "one worker answers, the next",
    Kind.OWN: "the router itself",
}


def test_the_documents_table_is_the_table_that_is_served():
    text = (ROOT / "docs" / "api.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {path.strip("`"): (method, words) for path, method, words in (row for row in rows if len(row) == 3)}
    for row in Routes("/invocations", sagemaker="NAME"):
        method, words = told.pop(row.path)
        assert method == row.methods[0], row.path
        assert words.startswith(WORDS.get(row.kind, "")) or row.path == ALIAS, row.path
        assert words.endswith("; open") == row.open, row.path
    assert list(told) == ["invocationEndpoint`, as `/` and that path"], "nothing is told that is not served"
