"""Lines on standard output, put into words and written together a few times in a tenth of a second.

However many there are: a request only leaves what it has to tell, so that its client waits for none of it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TextIO

import msgspec

_RANKS = {"INFO": 0, "WARNING": 1, "ERROR": 2}
_TOGETHER_SECONDS = 0.02  # a write costs as much as ten lines
Fields = Callable[[], Mapping[str, object]]
_Line = tuple[str, Callable[[], str], Fields, float]
"""Level, text and fields of a line that is not put into words yet, and when it was told in seconds since 1970."""


class Format(StrEnum):
    """PLAIN is `[LEVEL] text`; JSON is one object a line, whose `message` is the plain line: both grep alike."""

    PLAIN = "plain"
    JSON = "json"


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
        self._add("INFO", text.__str__)

    def warning(self, text: str) -> None:
        """Write a line of what someone should look at."""
        self._add("WARNING", text.__str__)

    def error(self, text: str) -> None:
        """Write a line of what went wrong here."""
        self._add("ERROR", text.__str__)

    def of(self, text: str, request_id: str) -> None:
        """Write a line of what happened to one request."""
        if not self._quiet:
            self._add("INFO", text.__str__, partial(dict, request_id=request_id) if self._json else dict)

    def access(self, line: Callable[[], str], fields: Fields) -> None:
        """Write a line of a request that has ended; `fields` are what an object has beside it. Both are asked later."""
        if not self._quiet:
            self._add("INFO", line, fields)

    def flush(self) -> None:
        """Write what is held back."""
        lines, self._lines = self._lines, []
        if lines:
            write = _object if self._json else _plain
            self._stream.write("\n".join(map(write, lines)) + "\n")
            self._stream.flush()

    def _add(self, level: str, text: Callable[[], str], fields: Fields = dict) -> None:
        if _RANKS[level] < self._least:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.flush)
        at = self._now() if self._json else 0.0  # a plain line does not say when
        self._lines.append((level, text, fields, at))


def _plain(line: _Line) -> str:
    level, text, _, _ = line
    return f"[{level}] {text()}".replace("\n", " ")


def _object(line: _Line) -> str:
    level, _, fields, at = line
    time_said = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"time": time_said, "level": level, "message": _plain(line), **fields()}
    return msgspec.json.encode(said).decode()
