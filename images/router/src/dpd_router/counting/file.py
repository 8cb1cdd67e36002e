"""Counting here: a tokenizer.json that is mounted, and the chat template beside it.

Encoding is work for a processor and lets go of Python's lock, so long prompts are encoded in threads of their own: the
event loop serves everybody else meanwhile.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError
from tokenizers import Tokenizer

from dpd_router.counting.guarded import CountFailedError
from dpd_router.counting.template import ChatTemplate
from dpd_router.types import Body, Request

SHORT_BYTES = 4096
MAX_WAITING = 64
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


class TokenizerUnusableError(Exception):
    """The files cannot be used; the text says which and why."""


class Encoder:
    """A model's tokenizer and its chat templates, by name."""

    def __init__(self, tokenizer: Any, templates: dict[str, ChatTemplate]) -> None:
        self._tokenizer = tokenizer
        self._templates = templates

    def encode(self, asked: Body) -> list[int]:
        """Return the token ids of what `countable` returned. Raises CountFailedError."""
        if "messages" in asked:
            text, special = self._template(asked).render(asked), bool(asked.get("add_special_tokens", False))
        else:
            text, special = asked["prompt"], bool(asked.get("add_special_tokens", True))
        ids: list[int] = self._tokenizer.encode_batch_fast([text], add_special_tokens=special)[0].ids
        return ids

    def _template(self, asked: Body) -> ChatTemplate:
        if asked.get("chat_template") is not None:
            raise CountFailedError("the request brings its own chat template")
        name = "tool_use" if asked.get("tools") and "tool_use" in self._templates else "default"
        if name not in self._templates:
            raise CountFailedError("the tokenizer has no chat template")
        return self._templates[name]


class FileSource:
    """Encodes short prompts at once and long ones in threads, of which only so many may wait."""

    def __init__(self, encoder: Encoder, threads: int) -> None:
        self._encoder = encoder
        self._threads = ThreadPoolExecutor(threads, "tokenizer")
        self._waiting = 0

    async def ids(self, asked: Body, request: Request) -> list[int]:
        """Return the token ids. Raises CountFailedError."""
        if len(request.raw) <= SHORT_BYTES:
            return self._encoder.encode(asked)
        if self._waiting >= MAX_WAITING:
            raise CountFailedError(f"{MAX_WAITING} prompts are being counted")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.encode, asked)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Take no more work and forget what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: "asyncio.Future[list[int]]") -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may be gone


def load_encoder(folder: Path) -> Encoder:
    """Return the encoder of a model's folder. Raises TokenizerUnusableError.

    `tokenizer.json` must be there; the template is `chat_template.jinja`, else the one in `tokenizer_config.json`.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # noqa: BLE001 - the library raises nothing more precise
        raise TokenizerUnusableError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from None
    config = _read(folder / "tokenizer_config.json", json.loads) or {}
    source = _read(folder / "chat_template.jinja", str) or config.get("chat_template")
    tokens = {name: _token(config[name]) for name in _SPECIAL if config.get(name)}
    try:
        templates = {name: ChatTemplate(text, tokens) for name, text in _named(source).items()}
    except TemplateSyntaxError as error:
        raise TokenizerUnusableError(f"{folder}: the chat template: {error}") from None
    return Encoder(tokenizer, templates)


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TokenizerUnusableError(f"{path} cannot be read: {error}") from None


def _named(source: Any) -> dict[str, str]:
    """Return templates by name; a file may hold one, several, or none."""
    match source:
        case str():
            return {"default": source}
        case [*entries]:
            return {entry["name"]: entry["template"] for entry in entries}
        case _:
            return {}


def _token(value: Any) -> str:
    match value:
        case {"content": str() as text}:
            return text
        case _:
            return str(value)
