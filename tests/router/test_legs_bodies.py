import json

import pytest

from dpd_router.ask import Ask
from dpd_router.connectors import connector_named
from dpd_router.connectors.lmcache import LMCache
from dpd_router.stages.accept import accept
from dpd_router.stages.decode import decode, drain
from dpd_router.stages.prefill import prefill
from dpd_router.stages.transfer import prompt_tokens, transfer
from dpd_router.types import Receiver, Reply, Verdict

PARAMS = {"lmcache.tag.p": "10.0.0.1:8081/x.0"}
HEADERS = [(b"Authorization", b"Bearer k"), (b"traceparent", b"00-1")]


def request(raw: bytes):
    return accept(Ask("POST", "/v1/chat/completions", "?v=1", HEADERS, raw, "r1"), "/v1/chat/completions")


def test_a_sender_is_told_where_the_pages_go_and_never_asked_for_the_first_token():
    params = LMCache().prefill_params("id-1", "tag-1", Receiver("10.0.0.2", (7300, 7301), (7400, 7401)))
    assert params == {
        "disagg_spec": {
            "req_id": "id-1",
            "receiver_host": "10.0.0.2",
            "receiver_init_port": [7300, 7301],
            "receiver_alloc_port": [7400, 7401],
        },
        "lmcache.tag.p": "tag-1",
    }


def test_a_receiver_is_told_the_tag_and_nothing_else():
    assert connector_named("lmcache").decode_params("tag-1", None) == {"lmcache.tag.p": "tag-1"}


def test_the_prefill_leg_is_the_same_prompt_with_one_plain_token():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "é"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "auto",
        "chat_template_kwargs": {"enable_thinking": False},
        "response_format": {"type": "json_object"},
        "temperature": 0.5,
        "max_tokens": 500,
        "max_completion_tokens": 400,
        "min_tokens": 10,
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 3,
        "stop": ["x"],
        "stop_token_ids": [1],
        "ignore_eos": False,
    }
    call = prefill(request(json.dumps(body).encode()), PARAMS)
    kept = ("model", "messages", "tools", "tool_choice", "chat_template_kwargs", "response_format", "temperature")
    assert json.loads(call.body) == {
        **{key: body[key] for key in kept},
        "max_tokens": 1,
        "max_completion_tokens": 1,
        "n": 1,
        "stream": False,
        "ignore_eos": True,
        "kv_transfer_params": PARAMS,
    }
    assert (call.method, call.target, call.headers) == ("POST", "/v1/chat/completions?v=1", HEADERS)


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        (
            "/v1/responses",
            {"input": "a", "max_output_tokens": 9, "include": ["message.output_text.logprobs"], "background": False},
            {"input": "a", "max_output_tokens": 1, "store": False},
        ),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": "a"}], "system": "s", "max_tokens": 9, "stop_sequences": ["x"]},
            {"messages": [{"role": "user", "content": "a"}], "system": "s"},
        ),
    ],
)
def test_the_prefill_leg_asks_for_one_token_in_the_words_of_its_api(path, body, sent):
    taken = accept(Ask("POST", path, "", HEADERS, json.dumps(body).encode(), "r1"), "/v1/chat/completions")
    common = {"max_tokens": 1, "n": 1, "stream": False, "ignore_eos": True, "kv_transfer_params": PARAMS}
    assert json.loads(prefill(taken, PARAMS).body) == {**sent, **common}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7}, 7),
        ({"input_tokens": 8, "output_tokens": 1}, 8),
        ({}, None),
        ({"prompt_tokens": None}, None),
        ("none", None),
    ],
)
def test_a_prompt_is_as_long_as_the_prefillers_reply_says_in_either_word(usage, tokens):
    assert prompt_tokens(Reply(200, [], json.dumps({"usage": usage}).encode())) == tokens


def test_max_completion_tokens_is_not_invented():
    assert "max_completion_tokens" not in json.loads(prefill(request(b'{"prompt":"a"}'), PARAMS).body)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt":"a","stream":true,"seed":1234567890123456789012,"x":1.50}',
        b' \n{ "prompt" : "{", "logprobs":5 }\n ',
    ],
)
def test_the_decode_leg_is_the_clients_own_bytes_and_the_tag(raw):
    call = decode(request(raw), PARAMS)
    head, tail = raw.split(b"{", 1)
    assert call.body == head + b'{"kv_transfer_params":{"lmcache.tag.p":"10.0.0.1:8081/x.0"},' + tail
    assert json.loads(call.body) == {**json.loads(raw), "kv_transfer_params": PARAMS}


def test_without_a_transfer_the_decode_leg_is_the_clients_bytes():
    raw = b'{ "prompt":"a"}'
    assert decode(request(raw), None).body is raw


@pytest.mark.parametrize(
    ("leg", "said"), [(lambda asked: decode(asked, PARAMS), b"read"), (lambda asked: drain(asked, PARAMS), b"drain")]
)
def test_a_leg_for_which_pages_wait_says_so_to_the_decoders_proxy(leg, said):
    assert list(leg(request(b'{"prompt":"a"}')).headers) == [*HEADERS, (b"x-dpd-transfer", said)]


def test_a_request_without_a_transfer_has_no_mark():
    assert list(decode(request(b'{"prompt":"a"}'), None).headers) == list(HEADERS)


def test_a_drain_reads_the_same_prompt_under_the_same_tag_and_asks_for_one_token():
    body = json.loads(drain(request(b'{"prompt":"a","stream":true,"max_tokens":900}'), PARAMS).body)
    assert body == {
        "prompt": "a",
        "stream": False,
        "max_tokens": 1,
        "n": 1,
        "ignore_eos": True,
        "kv_transfer_params": PARAMS,
    }


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.READY),
        (400, Verdict.REFUSED),
        (401, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (422, Verdict.REFUSED),
        (408, Verdict.RETRY),
        (425, Verdict.BUSY),
        (429, Verdict.BUSY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (302, Verdict.RETRY),
    ],
)
def test_what_a_prefillers_status_means(status, verdict):
    assert transfer(Reply(status, [], b"")) is verdict


@pytest.mark.parametrize("status", [429, 503])
def test_a_prefiller_whose_proxy_has_no_room_did_not_begin_whatever_the_status(status):
    assert transfer(Reply(status, [(b"X-Dpd-Upstream", b"limited")], b"")) is Verdict.BUSY
    assert transfer(Reply(503, [(b"x-dpd-upstream", b"unreachable")], b"")) is Verdict.RETRY
