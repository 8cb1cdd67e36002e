"""A model's chat template, rendered as Hugging Face's tokenizers render it and engines after them.

Templates are Jinja, in a sandbox that changes nothing it is given: they are the model's, but the words are anybody's.
"""

import json
import re
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dpd_router.counting.guarded import CountFailedError
from dpd_router.types import Body

# A template that walks through a message's parts wants parts; any other wants the text itself.
_WALKS_PARTS = re.compile(r"\bfor\s+\w+\s+in\s+(?:(?:\w+\.)?content\b|\w+\[['\"]content['\"]\])")


class _Generation(Extension):
    """`{% generation %}` marks what a model said, for training; here it is what it encloses."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """One template and the special tokens it may name."""

    def __init__(self, source: str, tokens: dict[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        self._template = environment.from_string(source)
        self._tokens = tokens
        self._parts = bool(_WALKS_PARTS.search(source))

    def render(self, asked: Body) -> str:
        """Return the text of a chat, as the model is given it. Raises CountFailedError."""
        if asked.get("continue_final_message"):
            raise CountFailedError("the chat goes on within its last message")
        given = {
            "add_generation_prompt": asked.get("add_generation_prompt", True),
            "tools": asked.get("tools"),
            "documents": None,
            **self._tokens,
            **(asked.get("chat_template_kwargs") or {}),
        }
        messages = [self._message(message) for message in asked["messages"]]
        try:
            return self._template.render(messages=messages, **given)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise CountFailedError(f"the chat template: {error}") from None

    def _message(self, message: Body) -> Body:
        edited = {**message, "content": self._content(message.get("content"))}
        calls = message.get("tool_calls")
        if calls:
            edited["tool_calls"] = [_with_object(call) for call in calls]
        return edited

    def _content(self, content: Any) -> Any:
        match content:
            case str() if self._parts:
                return [{"type": "text", "text": content}]
            case list() if not self._parts:
                return "\n".join(_text(part) for part in content)
            case list():
                return [{"type": "text", "text": _text(part)} for part in content]
            case _:
                return content


def _text(part: Any) -> str:
    match part:
        case {"text": str() as text}:
            return text
        case _:
            return str(part)


def _with_object(call: Any) -> Any:
    """Return a tool call whose arguments are an object, as templates expect, and not the text of one."""
    match call:
        case {"function": {"arguments": str() as text} as function}:
            try:
                return {**call, "function": {**function, "arguments": json.loads(text)}}
            except ValueError:
                return call
        case _:
            return call


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    """Return the time in the local zone, which is what engines put in."""
    return datetime.now().strftime(form)
