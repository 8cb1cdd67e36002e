"""Asking over HTTP, for what no answer is an answer too."""

import json
import urllib.error
import urllib.request
from typing import Any

SILENT = 0
SHORT = "What is disaggregated prefill-decode in one sentence?"
_SENTENCE = "The quick brown fox jumps over the lazy dog. "
_CHARACTERS_PER_TOKEN = 4
_LONG_TOKENS = 6750
_MOST_TOKENS_A_SENTENCE = 11
_TIMEOUT = 10.0
_ANSWER_SECONDS = 300.0
_ANSWER_TOKENS = 8
_OK = 200


def get(url: str) -> tuple[int, str]:
    """GET a URL: its status and its text; 0 and nothing when nobody answers."""
    return _send(urllib.request.Request(url), _TIMEOUT)  # noqa: S310 - http of a worker


def prompts(threshold: int, longest: int | None) -> tuple[tuple[str, str], ...]:
    """Return titles and texts: a short prompt, and one long enough for a prefiller unless the model's length forbids.

    longest: tokens of prompt and answer that the model takes, None for not known.
    """
    sentences = -(-max(_LONG_TOKENS, threshold) * _CHARACTERS_PER_TOKEN // len(_SENTENCE))
    if longest is not None:
        sentences = max(1, min(sentences, longest // _MOST_TOKENS_A_SENTENCE - _MOST_TOKENS_A_SENTENCE))
    return (("the short prompt", SHORT), ("the long prompt", _SENTENCE * sentences))


def body(model: str, text: str) -> dict[str, Any]:
    """Return the request of one probe."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": _ANSWER_TOKENS}


def probe(address: str, threshold: int) -> tuple[str, ...]:
    """Send both prompts to http://HOST:PORT and return what was wrong with the answers."""
    status, text = get(f"{address}/v1/models")
    if status != _OK:
        return (f"GET {address}/v1/models answers {status or 'nothing'}",)
    listed = json.loads(text)["data"][0]
    model, wrong = listed["id"], []
    for title, prompt in prompts(threshold, listed.get("max_model_len")):
        data = json.dumps(body(model, prompt)).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/v1/chat/completions", data, headers)  # noqa: S310
        status, text = _send(request, _ANSWER_SECONDS)
        if status != _OK:
            wrong.append(f"{title} is answered {status or 'by nothing'}: {text[:200]}".rstrip(": "))
    return tuple(wrong)


def _send(request: urllib.request.Request, timeout: float) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return int(answer.status), answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return SILENT, ""
