"""Lines on standard output, put into words and written together a few times in a tenth of a second.

However many there are: a request only leaves what it has to tell, so that its client waits for none of it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, TextIO, TypeVar

import msgspec

_RANKS: Final = {"INFO": 0, "WARNING": 1, "ERROR": 2}
_TOGETHER_SECONDS = 0.02  # a write costs as much as ten lines
T = TypeVar("T")
Fields = Callable[[Any], Mapping[str, object]]


class Format(StrEnum):
    """PLAIN is `[LEVEL] text`; JSON is one object a line, whose `message` is the plain line: both grep alike."""

    PLAIN = "plain"
    JSON = "json"


class _Line:
    """A line that is not put into words yet: `line` and `fields` make its text and its fields of what it tells of, `at`
    is when it was told, in seconds since 1970."""

    __slots__ = ("at", "fields", "level", "line", "told")

    def __init__(self, level: str, line: Callable[[Any], str], fields: Fields, told: Any, at: float) -> None:
        self.level: Final = level
        self.line: Final = line
        self.fields: Final = fields
        self.told: Final = told
        self.at: Final = at


class Log:
    """Writes lines to `stream`, those of a few turns together, none below `level`. `now` gives seconds since 1970."""

    def __init__(
        self,
        stream: TextIO,
        form: Format = Format.PLAIN,
        level: str = "INFO",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._json = form is Format.JSON
        self._least = _RANKS[level]
        self._now = now
        self._quiet = self._least > _RANKS["INFO"]
        self._lines: list[_Line] = []

    def info(self, text: str) -> None:
        """Write a line of what happened."""
        self._add("INFO", text)

    def warning(self, text: str) -> None:
        """Write a line of what someone should look at."""
        self._add("WARNING", text)

    def error(self, text: str) -> None:
        """Write a line of what went wrong here."""
        self._add("ERROR", text)

    def of(self, text: str, request_id: str) -> None:
        """Write a line of what happened to one request."""
        if not self._quiet:
            self._keep("INFO", _same, partial(_named, request_id) if self._json else _nothing, text)

    def access(self, told: T, line: Callable[[T], str], fields: Callable[[T], Mapping[str, object]]) -> None:
        """Write a line of a request that has ended, of which `told` is known; `fields` are what an object has beside
        it. Both are asked later."""
        if not self._quiet:
            self._keep("INFO", line, fields, told)

    def flush(self) -> None:
        """Write what is held back."""
        lines, self._lines = self._lines, []
        if lines:
            texts = [_object(line) for line in lines] if self._json else [_plain(line) for line in lines]
            self._stream.write("\n".join(texts) + "\n")
            self._stream.flush()

    def _add(self, level: str, text: str) -> None:
        if _RANKS[level] >= self._least:
            self._keep(level, _same, _nothing, text)

    def _keep(self, level: str, line: Callable[[Any], str], fields: Fields, told: Any) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.flush)
        at = self._now() if self._json else 0.0  # a plain line does not say when
        self._lines.append(_Line(level, line, fields, told, at))


def _same(text: str) -> str:
    return text


def _nothing(_told: object) -> Mapping[str, object]:
    return {}


def _named(request_id: str, _told: object) -> Mapping[str, object]:
    return {"request_id": request_id}


def _plain(line: _Line) -> str:
    return f"[{line.level}] {line.line(line.told)}".replace("\n", " ")


def _object(line: _Line) -> str:
    time_said = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"time": time_said, "level": line.level, "message": _plain(line), **line.fields(line.told)}
    return msgspec.json.encode(said).decode()
