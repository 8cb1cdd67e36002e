"""Asking over HTTP, for what no answer is an answer too."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dpd.commands import UsageError
from dpd.doctor.facts import Facts
from dpd.doctor.parsing import json_object

SILENT = 0
SHORT = "What is disaggregated prefill-decode in one sentence?"
_SENTENCE = "The quick brown fox jumps over the lazy dog. "
_CHARACTERS_PER_TOKEN = 4
_LONG_TOKENS = 6750
_MOST_TOKENS_A_SENTENCE = 11
TIMEOUT = 10.0
ANSWER_SECONDS = 300.0
_ANSWER_TOKENS = 8
_OK = 200
_SHOWN = 200
Ask = Callable[[str, Any], tuple[int, str]]


@dataclass(frozen=True)
class Door:
    """Where prompts go in on this machine: a URL without a path, an API key, and whose certificate it must have."""

    url: str
    key: str = ""
    trust: ssl.SSLContext | None = None

    def ask(self, path: str, body: Any = None) -> tuple[int, str]:
        """GET a path, or POST JSON to it: status and text; 0 and nothing when nobody answers."""
        headers = keyed(self.key) | ({} if body is None else {"Content-Type": "application/json"})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - the router's own address
        return _send(request, TIMEOUT if body is None else ANSWER_SECONDS, self.trust)


def keyed(key: str) -> dict[str, str]:
    """Return the header that shows an API key; not `Authorization`, which an API server between keeps for itself."""
    return {"x-api-key": key} if key else {}


def refuse_without(key: str, facts: Facts) -> None:
    """Raise UsageError when the router asks its clients for an API key, and there is none to send prompts with."""
    if facts.asks_for_keys and not key:
        raise UsageError("--probe: the router asks for an API key; give one with --key-file FILE")


def get(url: str) -> tuple[int, str]:
    """GET a URL: its status and its text; 0 and nothing when nobody answers."""
    return _send(urllib.request.Request(url), TIMEOUT)  # noqa: S310 - http of a worker


def prompts(threshold: int, longest: int | None) -> tuple[tuple[str, str], ...]:
    """Return titles and texts: a short prompt, and one long enough for a prefiller unless the model's length forbids.

    longest: tokens of prompt and answer that the model takes, None for not known.
    """
    sentences = -(-max(_LONG_TOKENS, threshold) * _CHARACTERS_PER_TOKEN // len(_SENTENCE))
    if longest is not None:
        sentences = max(1, min(sentences, longest // _MOST_TOKENS_A_SENTENCE - _MOST_TOKENS_A_SENTENCE))
    return (("the short prompt", SHORT), ("the long prompt", _SENTENCE * sentences))


def probe(ask: Ask, threshold: int) -> tuple[str, ...]:
    """Send both prompts and return what was wrong with the answers.

    ask: GETs a path, or POSTs JSON to it; returns status and text, 0 for no answer.
    """
    status, text = ask("/v1/models", None)
    listed = _model(text) if status == _OK else {}
    if not listed:
        return (f"GET /v1/models answers {_said(status, 'nothing', text)}",)
    wrong = []
    for title, prompt in prompts(threshold, listed.get("max_model_len")):
        message = {"role": "user", "content": prompt}
        body = {"model": listed["id"], "messages": [message], "max_tokens": _ANSWER_TOKENS}
        status, text = ask("/v1/chat/completions", body)
        if status != _OK:
            wrong.append(f"{title} is answered {_said(status, 'by nothing', text)}")
    return tuple(wrong)


def _model(text: str) -> dict[str, Any]:
    """Return the first model of a list of them, empty when that is no list or none is in it."""
    models = json_object(text).get("data")
    first = models[0] if isinstance(models, list) and models else None
    return first if isinstance(first, dict) and "id" in first else {}


def _said(status: int, silent: str, text: str) -> str:
    return f"{status or silent}: {text[:_SHOWN]}".rstrip(": ")


def _send(request: urllib.request.Request, timeout: float, trust: ssl.SSLContext | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=trust) as answer:  # noqa: S310
            return int(answer.status), answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return SILENT, ""
