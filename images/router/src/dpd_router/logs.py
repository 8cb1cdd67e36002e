"""Lines on standard output, written together a few times in a tenth of a second however many there are."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

import msgspec

_RANKS = {"INFO": 0, "WARNING": 1, "ERROR": 2}
_TOGETHER_SECONDS = 0.02  # a write costs as much as ten lines
_NOTHING: Mapping[str, object] = {}


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
        self._lines: list[str] = []

    def info(self, text: str) -> None:
        """Write a line of what happened."""
        self._add("INFO", text, _NOTHING)

    def warning(self, text: str) -> None:
        """Write a line of what someone should look at."""
        self._add("WARNING", text, _NOTHING)

    def error(self, text: str) -> None:
        """Write a line of what went wrong here."""
        self._add("ERROR", text, _NOTHING)

    def of(self, text: str, request_id: str) -> None:
        """Write a line of what happened to one request."""
        if not self._quiet:
            self._add("INFO", text, {"request_id": request_id} if self._json else _NOTHING)

    def access(self, line: Callable[[], str], fields: Callable[[], Mapping[str, object]]) -> None:
        """Write a line of a request that has ended; `fields` are what an object has beside it."""
        if not self._quiet:
            self._add("INFO", line(), fields() if self._json else _NOTHING)

    def flush(self) -> None:
        """Write what is held back."""
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def _add(self, level: str, text: str, fields: Mapping[str, object]) -> None:
        if _RANKS[level] < self._least:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.flush)
        line = f"[{level}] {text}".replace("\n", " ")
        self._lines.append(self._object(level, line, fields) if self._json else line)

    def _object(self, level: str, line: str, fields: Mapping[str, object]) -> str:
        at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return msgspec.json.encode({"time": at, "level": level, "message": line, **fields}).decode()
