"""Second stage: how long the prompt is, from its text alone. Four characters make one token, rounded down."""

from typing import Any, Final

from dpd_router.types import Body, Prompt

CHARACTERS_PER_TOKEN: Final = 4
# Of instructions and of what follows them, each.
LEAD_CHARACTERS: Final = 4096


def estimate(body: Body) -> Prompt:
    """Return the prompt's length in tokens and its leading text.

    Chat: the text of all messages' contents, and of `system`. Completions: the prompt's text; a list of token ids
    counts as it is; several prompts add up. Responses: `instructions` and the text of `input`. A body with none of them
    has length 0.
    """
    match body:
        case {"messages": list() as messages}:
            return _of_messages(messages, body.get("system"))
        case {"prompt": prompt}:
            return _of_prompt(prompt)
        case {"input": str() as text}:
            return _of_messages([{"content": text}], body.get("instructions"))
        case {"input": list() as items}:
            return _of_messages(items, body.get("instructions"))
        case _:
            return Prompt(0, "")


def _of_messages(messages: list[Any], system: Any) -> Prompt:
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    try:
        text = "".join([message["content"] for message in messages])  # what nearly all are made of
    except (KeyError, TypeError):
        text = "".join(_contents(messages))
    lead = _lead(messages) if len(messages) > 1 else text[:LEAD_CHARACTERS]
    return Prompt(len(text) // CHARACTERS_PER_TOKEN, lead)


def _lead(messages: list[Any]) -> str:
    """Return how the instructions begin and how the conversation does: the same as long as it goes on."""
    head = ""
    for message in messages:
        match message:
            case {"role": "system" | "developer"}:
                head += "".join(_contents([message]))
            case _:
                return head[:LEAD_CHARACTERS] + "".join(_contents([message]))[:LEAD_CHARACTERS]
    return head[:LEAD_CHARACTERS]


def _of_prompt(prompt: Any) -> Prompt:
    match prompt:
        case str():
            return Prompt(len(prompt) // CHARACTERS_PER_TOKEN, prompt[: 2 * LEAD_CHARACTERS])
        case [int(), *_]:
            return Prompt(len(prompt), _of_ids(prompt), exact=True, ids=prompt)
        case [str() | list(), *_]:
            # One level of several prompts and no deeper: what is nested further is no prompt.
            parts = [_of_prompt(each) for each in prompt if _is_prompt(each)]
            return Prompt(sum(part.tokens for part in parts), parts[0].lead if parts else "")
        case _:
            return Prompt(0, "")


def _of_ids(prompt: list[Any]) -> str:
    """Return the leading ids as text, empty where something else stands among them: lists in lists without end, say."""
    try:
        return ",".join([f"{each:d}" for each in prompt[: LEAD_CHARACTERS // CHARACTERS_PER_TOKEN]])
    except (TypeError, ValueError):
        return ""


def _is_prompt(value: Any) -> bool:
    match value:
        case str() | [int(), *_]:
            return True
        case _:
            return False


def _contents(messages: list[Any]) -> list[str]:
    texts: list[str] = []
    for message in messages:
        match message:
            case {"content": str() as text}:
                texts.append(text)
            case {"content": list() as parts}:
                texts += [part["text"] for part in parts if _has_text(part)]
    return texts


def _has_text(part: Any) -> bool:
    match part:
        case {"text": str()}:
            return True
        case _:
            return False
