"""Third stop: ask an endpoint over its own HTTP, whole or streamed, or leave in the middle of it."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
SECONDS = 120.0
Body = dict[str, Any]


@dataclass
class Answer:
    """An answer, whether it came whole or in pieces."""

    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: str | None = None
    usage: Body = field(default_factory=dict)
    first: Body = field(default_factory=dict)


def post(url: str, path: str, body: Body, seconds: float = SECONDS) -> Body:
    """Ask and return the JSON of the answer. Raises urllib.error.HTTPError with the engine's own words in `msg`."""
    with _open(url, path, body, seconds) as reply:
        answer: Body = json.load(reply)
    return answer


def _open(url: str, path: str, body: Body, seconds: float) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        error.msg = f"{error.msg}: {error.read().decode(errors='replace')[:500]}"
        raise


def ask(url: str, path: str, body: Body, *, stream: bool = False, seconds: float = SECONDS) -> Answer:
    """Ask greedily and return the answer with its token ids."""
    asked = {"model": "tiny", "temperature": 0, "max_tokens": 16, "return_token_ids": True, **body}
    if stream:
        return _joined(
            _events(url, path, {**asked, "stream": True, "stream_options": {"include_usage": True}}, seconds)
        )
    whole = post(url, path, asked, seconds)
    return _joined(iter([whole]))


def _events(url: str, path: str, body: Body, seconds: float) -> Iterator[Body]:
    ended = False
    with _open(url, path, body, seconds) as reply:
        for line in reply:
            data = line.decode().removeprefix("data:").strip()
            if data == "[DONE]":
                ended = True
            elif data:
                yield json.loads(data)
    assert ended, "the stream broke off before [DONE]"


def _joined(pieces: Iterator[Body]) -> Answer:
    """Put the first choice's pieces together; a whole answer is one piece."""
    answer = Answer()
    for piece in pieces:
        assert "error" not in piece, piece["error"]
        answer.usage = piece.get("usage") or answer.usage
        for choice in piece["choices"]:
            answer.first = answer.first or choice
            said = choice.get("message") or choice.get("delta") or choice
            answer.text += said.get("content") or said.get("text") or ""
            answer.tokens += choice.get("token_ids") or []
            answer.finish = choice.get("finish_reason") or answer.finish
    return answer


class Leaver:
    """A client that sends a request and leaves whenever it likes."""

    def __init__(self, url: str, path: str, body: Body) -> None:
        parts = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=SECONDS)
        asked = {"model": "tiny", "temperature": 0, "max_tokens": 16, **body}
        self._connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})

    def read_line(self) -> bytes:
        """Wait for the head of the answer and its first line."""
        return self._connection.getresponse().readline()

    def leave(self) -> None:
        """Close the connection without a word."""
        self._connection.close()
