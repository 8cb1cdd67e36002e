"""Beside the second stage: what of a request a tokenizer is to count. Decides only; no I/O.

A chat's messages pass a template that only chats and completions have in this form; what is said in pictures or sound
cannot be counted from text.
"""

from collections.abc import Mapping
from typing import Any

from dpd_router.types import Body, Request

_ELSEWHERE = ("/v1/messages", "/v1/responses")
_CHAT = (
    "model",
    "messages",
    "tools",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "chat_template",
    "chat_template_kwargs",
)
_TEXT = ("model", "prompt", "add_special_tokens")


def countable(request: Request) -> Body | None:
    """Return what of a body decides its tokens, as `/tokenize` takes it; None when text alone does not."""
    path = request.target.partition("?")[0]
    if request.relayed or path.startswith(_ELSEWHERE):
        return None
    match request.body:
        case {"messages": [_, *_] as messages} if all(map(_is_text, messages)):
            return _picked(request.body, _CHAT)
        case {"messages": _}:
            return None
        case {"prompt": str() as text} if text:
            return _picked(request.body, _TEXT)
        case _:
            return None


def shareable(request: Request) -> bool:
    """Say whether the prompt's blocks are those of anybody with the same tokens: not salted, of no adapter."""
    return request.body.get("cache_salt") is None


def _picked(body: Body, keys: tuple[str, ...]) -> Body:
    return {key: body[key] for key in keys if body.get(key) is not None}


def _is_text(message: Any) -> bool:
    match message:
        case {"content": list() as parts}:
            return all(map(_is_text_part, parts))
        case Mapping():
            return True
        case _:
            return False


def _is_text_part(part: Any) -> bool:
    match part:
        case str() | {"type": "text", "text": str()}:
            return True
        case _:
            return False
