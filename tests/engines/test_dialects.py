"""The two other forms of a chat, OpenAI's responses and Anthropic's messages, are disaggregated like any chat."""

import pytest

from engines.harness import prompts
from engines.harness.client import Body, post
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import retrieved

TURNS = [{"role": "user", "content": prompts.text(60)}]
FORMS: dict[str, tuple[str, Body]] = {
    "response": ("/v1/responses", {"input": prompts.text(61), "max_output_tokens": 32}),
    "response of turns": ("/v1/responses", {"input": TURNS, "instructions": "Be brief.", "max_output_tokens": 32}),
    "message": ("/v1/messages", {"messages": TURNS, "system": "Be kind.", "max_tokens": 32}),
    "message that stops": ("/v1/messages", {"messages": TURNS, "max_tokens": 32, "stop_sequences": ["zz"]}),
}


def said(answer: Body) -> list[str]:
    """The texts of an answer of either form."""
    parts = (
        answer["content"] if "content" in answer else [part for item in answer["output"] for part in item["content"]]
    )
    return [part["text"] for part in parts]


@pytest.mark.parametrize("name", FORMS)
def test_another_form_of_a_chat_goes_through_a_prefiller_and_says_the_same(
    reference: Endpoint, disaggregated: Endpoint, name: str
) -> None:
    path, body = FORMS[name]
    body = {"model": "tiny", "temperature": 0, **body}
    mark = disaggregated.mark("decode")
    found = post(disaggregated.url(), path, body)
    count = found["usage"]["input_tokens"]
    assert (count, count) in retrieved(disaggregated.log("decode", mark))
    expected = post(reference.url(), path, body)
    assert said(found) == said(expected)
    for key in ("input_tokens", "output_tokens"):  # a decoder says beside them how much it did not compute
        assert found["usage"][key] == expected["usage"][key]
    assert found.get("kv_transfer_params") is None


def test_a_messages_length_is_counted_by_the_decoder(reference: Endpoint, disaggregated: Endpoint) -> None:
    body = {"model": "tiny", "messages": TURNS}
    path = "/v1/messages/count_tokens"
    assert post(disaggregated.url(), path, body) == post(reference.url(), path, body)
