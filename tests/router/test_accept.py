import json

import msgspec
import pytest

from dpd_router.ask import Ask
from dpd_router.errors import BadRequestError
from dpd_router.stages.accept import accept


def ask(body: bytes, path: str = "/v1/chat/completions", query: str = "") -> Ask:
    return Ask("POST", path, query, [], body, "r1")


def accepted(**body):
    return accept(ask(json.dumps(body).encode()), "/v1/chat/completions")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "The body is empty; send a JSON object with messages or a prompt."),
        (b"  \n", "The body is empty"),
        (b"{", "The body is not JSON"),
        (b'{"a":1} x', "The body is not JSON"),
        (b"[1]", "The body is not a JSON object with members"),
        (b'"text"', "The body is not a JSON object with members"),
        (b"{}", "The body is not a JSON object with members"),
        (b'{"a":NaN}', "The body is not JSON"),
        (b'{"a":"\xff"}', "The body is not valid Unicode text: invalid start byte; send UTF-8."),
        (
            b'{"a":"\\ud800"}',
            "The body is not valid Unicode text: an escape such as \\ud800 is half of a character; send UTF-8.",
        ),
        (
            b'{"a":"\\\\ \\ud83d\\ude00 \\uD83D\\n\\uDE00"}',
            "The body is not valid Unicode text: an escape such as \\ud800 is half of a character; send UTF-8.",
        ),
        (
            b'{"a":"x\\udc00"}',
            "The body is not valid Unicode text: an escape such as \\ud800 is half of a character; send UTF-8.",
        ),
        (b'{"a":"\\\\ud800', "The body is not JSON: Input data was truncated; send a JSON object."),
        (b"\xef\xbb\xbf{}", "The body is not JSON"),
        ('{"a":1}'.encode("utf-16"), "The body is not JSON"),
        (b'{"a":' * 100_000, "The body is nested too deeply; send fewer levels."),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The body is nested too deeply; send fewer levels."),
    ],
)
def test_a_body_that_is_no_json_object_is_the_clients_mistake(raw, text):
    with pytest.raises(BadRequestError) as caught:
        accept(ask(raw), "/v1/chat/completions")
    assert text in caught.value.message
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[' + b"{}," * 1_000_001 + b"{}]}",
        b'{"messages":[' + b"[" * 1_000_001,
        b'{"messages":"m","x":{' + b'"a":1,' * 1_000_001 + b'"b":1}}',
        b'{"prompt":[' + b"1," * 2_000_001 + b"1]}",
    ],
    ids=["objects", "depth", "members", "numbers"],
)
def test_what_would_take_many_times_its_bytes_in_memory_is_refused_before_it_is_read(raw):
    with pytest.raises(BadRequestError) as refused:
        accept(ask(raw), "/v1/chat/completions")
    assert refused.value.message == (
        "The body holds more than 1000000 members and lists, or 2000000 items; send text as one string."
    )


def test_a_long_prompt_is_read_however_it_is_written():
    text = "{'a': [1, 2]}, " * 90_000
    for prompt in (text, list(range(1_000_000))):
        assert accepted(prompt=prompt).body["prompt"] == prompt


def test_a_body_without_transfer_parameters_is_kept_byte_for_byte():
    raw = b' { "prompt" : "a\\u0041" , "seed":12345678901234567890123 , "x": 1.50 }\n'
    assert accept(ask(raw), "/v1/chat/completions").raw is raw


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"prompt": "a", "kv_transfer_params": {"disagg_spec": {}}}, {"prompt": "a"}),
        ({"prompt": "a", "kv_transfer_params": None}, {"prompt": "a"}),
        ({"prompt": "a", "vllm_xargs": {"kv_transfer_params": "x", "k": 1}}, {"prompt": "a", "vllm_xargs": {"k": 1}}),
        (
            {"kv_transfer_params": 1, "prompt": "a", "vllm_xargs": {"kv_transfer_params": 1}},
            {"prompt": "a", "vllm_xargs": {}},
        ),
    ],
)
def test_what_steers_a_transfer_is_removed_from_what_a_client_sends(given, kept):
    request = accepted(**given)
    assert request.body == kept
    assert json.loads(request.raw) == kept


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt":"a","kv_transfer_params":{"a":1},"kv_transfer_params":{"b":1}}',
        b'{"prompt":"a","kv\\u005ftransfer_params":{"a":1}}',
    ],
)
def test_no_spelling_of_the_key_passes(raw):
    assert json.loads(accept(ask(raw), "/").raw) == {"prompt": "a"}


def test_a_number_the_fast_encoder_refuses_survives_the_removal():
    raw = b'{"prompt":"a","seed":1234567890123456789012345678901234567890,"kv_transfer_params":1}'
    assert b"1234567890123456789012345678901234567890" in accept(ask(raw), "/").raw


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/invocations", "", "/v1/completions"),
        ("/invocations", "?a=b", "/v1/completions?a=b"),
        ("/v1/chat/completions", "", "/v1/chat/completions"),
    ],
)
def test_invocations_stands_for_the_endpoints_own_path(path, query, target):
    assert accept(ask(b'{"a":1}', path, query), "/v1/completions").target == target


@pytest.mark.parametrize(
    ("body", "fans_out"),
    [
        ({"prompt": "a"}, False),
        ({"prompt": "a", "n": 1}, False),
        ({"prompt": "a", "n": 2}, True),
        ({"prompt": "a", "n": "2"}, True),
        ({"prompt": "a", "n": "many"}, False),
        ({"prompt": "a", "n": None}, False),
        ({"prompt": "a", "best_of": 3}, True),
        ({"prompt": "a", "use_beam_search": True}, True),
        ({"prompt": ["a"]}, False),
        ({"prompt": ["a", "b"]}, True),
        ({"prompt": [1, 2, 3]}, False),
        ({"prompt": [[1, 2], [3]]}, True),
        ({"prompt": [[1, 2]]}, False),
        ({"prompt": []}, False),
    ],
)
def test_a_request_that_becomes_several_in_the_engine_is_known(body, fans_out):
    assert accepted(**body).fan_out is fans_out


@pytest.mark.parametrize(
    ("body", "wants"),
    [
        ({"a": 1}, False),
        ({"prompt_logprobs": 1}, True),
        ({"prompt_logprobs": None}, False),
        ({"echo": True}, False),
        ({"echo": True, "logprobs": 1}, True),
        ({"echo": False, "logprobs": 1}, False),
        ({"echo": True, "top_logprobs": 2}, True),
    ],
)
def test_a_request_for_the_prompts_own_logprobs_is_known(body, wants):
    assert accepted(**body).prompt_logprobs is wants


def test_errors_have_the_shape_that_openai_clients_read():
    error = BadRequestError("No.", code="invalid_json")
    assert msgspec.json.decode(error.body()) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "invalid_json"}
    }
