import json

import pytest

from engines.harness import prompts
from engines.harness.client import CHAT, COMPLETIONS, Body, ask, post
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import retrieved

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "degrees": {"enum": [10, 20]}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}}
LONG = 60
FEATURES: dict[str, Body] = {
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}}},
    "object": {"response_format": {"type": "json_object"}},
    "seed": {"temperature": 0.8, "seed": 7},
    "penalties": {"frequency_penalty": 0.7, "repetition_penalty": 1.2},
    "bias": {"logit_bias": {"500": 5.0}},
    "tool": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    "required": {"tools": [TOOL], "tool_choice": "required"},
    "auto": {"tools": [TOOL], "tool_choice": "auto"},
    "shortest": {"min_tokens": 20, "ignore_eos": True},
    "one token": {"max_tokens": 1},
    "system": {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompts.text(LONG)}]
    },
}


def chat(**settings: object) -> Body:
    text = prompts.text(LONG)
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 64, **settings}


def without_ids(answer: Body) -> Body:
    """An answer without what two engines may tell differently: its id, its time, the ids of its tool calls."""
    kept = json.loads(json.dumps(answer["choices"]))
    for choice in kept:
        for call in choice["message"].get("tool_calls") or []:
            call.pop("id")
    return {"choices": kept, "usage": answer["usage"]}


def rounded(value: object) -> object:
    """Log probabilities to three decimals: the last bits depend on how a prompt was cut into pieces."""
    return json.loads(json.dumps(value), parse_float=lambda each: round(float(each), 3))


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_of_the_engine_works_as_on_one_engine(
    reference: Endpoint, disaggregated: Endpoint, name: str
) -> None:
    body = {"model": "tiny", "temperature": 0, **chat(**FEATURES[name])}
    mark = disaggregated.mark("decode")
    found = post(disaggregated.url(), CHAT, body)
    count = found["usage"]["prompt_tokens"]
    assert (count, count) in retrieved(disaggregated.log("decode", mark))
    assert rounded(without_ids(found)) == rounded(without_ids(post(reference.url(), CHAT, body)))


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_works_as_well_in_a_stream(reference: Endpoint, disaggregated: Endpoint, name: str) -> None:
    body = chat(**FEATURES[name])
    found, expected = (ask(each.url(), CHAT, body, stream=True) for each in (disaggregated, reference))
    assert sorted(found.tokens) == sorted(expected.tokens)
    assert (found.finish, found.usage) == (expected.finish, expected.usage)


def test_an_answer_that_must_be_json_is(disaggregated: Endpoint) -> None:
    answer = ask(disaggregated.url(), CHAT, chat(**FEATURES["schema"]))
    assert set(json.loads(answer.text)) == {"city", "degrees"}


def test_a_tool_that_must_be_called_is(disaggregated: Endpoint) -> None:
    body = {"model": "tiny", "temperature": 0, **chat(**FEATURES["tool"])}
    call = post(disaggregated.url(), CHAT, body)["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call["name"] == "weather"
    assert set(json.loads(call["arguments"])) == {"city", "degrees"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_stop_string_ends_the_answer_where_it_ends_on_one_engine(
    reference: Endpoint, disaggregated: Endpoint, tokens: prompts.Tokens, place: int, stream: bool
) -> None:
    prompt = {"prompt": tokens(700)}
    unstopped = post(
        reference.url(), COMPLETIONS, {"model": "tiny", "temperature": 0, "max_tokens": 16, "logprobs": 0, **prompt}
    )
    pieces = unstopped["choices"][0]["logprobs"]["tokens"]
    stop = next(each for each in pieces[place:] if len(each.strip()) > 1 and "\ufffd" not in each)
    body = {**prompt, "stop": [stop]}
    expected = ask(reference.url(), COMPLETIONS, body)
    found = ask(disaggregated.url(), COMPLETIONS, body, stream=stream)
    assert expected.finish == "stop"
    assert (found.text, found.tokens, found.finish) == (expected.text, expected.tokens, expected.finish)


def test_several_answers_to_one_prompt_are_computed_by_the_decoder_alone(
    reference: Endpoint, disaggregated: Endpoint
) -> None:
    # The engine looks pages up once for each answer, but they are there for one of them.
    # top_k: an engine answers greedily once only, and at its least temperature a random model still wavers.
    body = {"model": "tiny", **chat(n=2, temperature=0.01, top_k=1)}
    mark = disaggregated.mark("decode")
    found = post(disaggregated.url(), CHAT, body)
    assert retrieved(disaggregated.log("decode", mark)) == []
    assert len(found["choices"]) == 2
    assert without_ids(found) == without_ids(post(reference.url(), CHAT, body))


def test_an_engines_refusal_reaches_the_client_in_its_own_words(
    reference: Endpoint, disaggregated: Endpoint, tokens: prompts.Tokens
) -> None:
    said, body = [], {"prompt": tokens(4400)}
    for endpoint in (reference, disaggregated):
        with pytest.raises(OSError, match="maximum context length") as refused:
            ask(endpoint.url(), COMPLETIONS, body)
        said.append((getattr(refused.value, "code", None), str(refused.value)))
    assert said[0] == said[1]
    assert said[0][0] == 400
