import pytest

from dpd_router.stages.estimate import estimate
from dpd_router.types import Prompt

FOX = "The quick brown fox jumps over the lazy dog. "


def chat(*contents):
    return {"messages": [{"role": "user", "content": content} for content in contents]}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (chat(FOX * 600), 6750),
        (chat("abc"), 0),
        (chat("abcd"), 1),
        (chat("abcdefg"), 1),
        (chat("abc", "abcde"), 2),
        (chat("ééé€"), 1),
        (chat([{"type": "text", "text": "abcd"}, {"type": "image_url", "image_url": {"url": "x" * 400}}]), 1),
        (chat([{"type": "text", "text": 5}, "abcd", None]), 0),
        (chat(None), 0),
        ({"messages": ["abcd", 7, None, []]}, 0),
        ({"messages": "abcdefgh"}, 0),
        ({"prompt": "a" * 4096}, 1024),
        ({"prompt": [5] * 4096}, 4096),
        ({"prompt": ["abcd"]}, 1),
        ({"prompt": ["abcd", "abcdefgh"]}, 3),
        ({"prompt": [[1, 2, 3], [4]]}, 4),
        ({"prompt": []}, 0),
        ({"prompt": [[["abcd"]]]}, 0),
        ({"prompt": [None, "abcd"]}, 0),
        ({"prompt": ["abcd", None]}, 1),
        ({"prompt": None}, 0),
        ({"prompt": 7}, 0),
        ({"input": "abcdefgh"}, 2),
        ({"input": "abcd", "instructions": "efgh"}, 2),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "abcd"}]}], "instructions": "efgh"}, 2),
        ({"input": [{"role": "user", "content": "abcd"}, {"type": "function_call_output", "output": "x"}]}, 1),
        ({"input": [5, 6]}, 0),
        ({"messages": [{"role": "user", "content": "abcd"}], "system": "efgh"}, 2),
        ({"messages": [{"role": "user", "content": "abcd"}], "system": [{"type": "text", "text": "efgh"}]}, 2),
        ({}, 0),
    ],
)
def test_four_characters_make_a_token_rounded_down(body, tokens):
    assert estimate(body).tokens == tokens


def test_a_prompt_nested_without_end_is_no_prompt_and_no_harm():
    prompt: list[object] = []
    for _ in range(900):
        prompt = [prompt]
    assert estimate({"prompt": prompt}).tokens == 0


def test_the_lead_is_the_prompts_beginning_and_no_more():
    assert estimate(chat("a" * 5000, "b")) == Prompt(1250, "a" * 4096)


def test_a_chats_lead_is_how_its_instructions_and_its_first_message_begin_and_does_not_change_as_it_goes_on():
    system, first = {"role": "system", "content": "s" * 5000}, {"role": "user", "content": "u" * 5000}
    later = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    wanted = "s" * 4096 + "u" * 4096
    assert estimate({"messages": [system, first]}).lead == wanted
    assert estimate({"messages": [system, first, *later]}).lead == wanted
    assert estimate({"messages": [first, *later], "system": "s" * 5000}).lead == wanted
    assert estimate({"input": [first, *later], "instructions": "s" * 5000}).lead == wanted
    assert estimate({"input": "u" * 5000, "instructions": "s" * 5000}).lead == wanted
    assert estimate({"messages": [{"role": "developer", "content": "s"}, system]}).lead == "s" * 4096
    assert estimate({"messages": ["no message", first]}).lead == ""


def test_a_texts_lead_is_as_long_as_a_chats():
    assert len(estimate({"prompt": "a" * 9000}).lead) == 8192


def test_token_ids_have_a_lead_too():
    assert estimate({"prompt": [11, 22, 33]}).lead == "11,22,33"
    assert estimate({"prompt": [11, 22, 34]}).lead != "11,22,33"


def test_lists_among_token_ids_are_not_looked_into_however_deep_they_are():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    found = estimate({"prompt": [1, deep, 2]})
    assert (found.tokens, found.lead, found.exact) == (3, "", True)
