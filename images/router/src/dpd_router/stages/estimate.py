"""Second stage: how long the prompt is, from its text alone. Four characters make one token, rounded down."""

from typing import Any

from dpd_router.types import Body, Prompt

CHARACTERS_PER_TOKEN = 4
LEAD_CHARACTERS = 4096


def estimate(body: Body) -> Prompt:
    """Return the prompt's length in tokens and its leading text.

    Chat: the text of all messages' contents, and of `system`. Completions: the prompt's text; a list of token ids
    counts as it is; several prompts add up. Responses: `instructions` and the text of `input`. A body with none of them
    has length 0.
    """
    match body:
        case {"messages": list() as messages}:
            texts = _contents(messages)
            if "system" in body:
                texts = [*_contents([{"content": body["system"]}]), *texts]
            return _of_text(texts[0] if len(texts) == 1 else "".join(texts))
        case {"prompt": prompt}:
            return _of_prompt(prompt)
        case {"input": str() as text}:
            return _of_text("".join(_contents([{"content": body.get("instructions")}, {"content": text}])))
        case {"input": list() as items}:
            return _of_text("".join(_contents([{"content": body.get("instructions")}, *items])))
        case _:
            return Prompt(0, "")


def _of_text(text: str) -> Prompt:
    return Prompt(len(text) // CHARACTERS_PER_TOKEN, text[:LEAD_CHARACTERS])


def _of_prompt(prompt: Any) -> Prompt:
    match prompt:
        case str():
            return _of_text(prompt)
        case [int(), *_]:
            lead = ",".join(map(str, prompt[: LEAD_CHARACTERS // CHARACTERS_PER_TOKEN]))
            return Prompt(len(prompt), lead, exact=True, ids=prompt)
        case [str() | list(), *_]:
            # One level of several prompts and no deeper: what is nested further is no prompt.
            parts = [_of_prompt(each) for each in prompt if _is_prompt(each)]
            return Prompt(sum(part.tokens for part in parts), parts[0].lead if parts else "")
        case _:
            return Prompt(0, "")


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
