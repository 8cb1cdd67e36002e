"""Lines on standard output, written once per turn of the event loop however many there are."""

import asyncio
from typing import TextIO


class Log:
    """Writes `[LEVEL] text` lines to `stream`; lines of one turn are written together."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []

    def info(self, text: str) -> None:
        """Write a line of what happened."""
        self._add("[INFO] " + text)

    def warning(self, text: str) -> None:
        """Write a line of what someone should look at."""
        self._add("[WARNING] " + text)

    def error(self, text: str) -> None:
        """Write a line of what went wrong here."""
        self._add("[ERROR] " + text)

    def flush(self) -> None:
        """Write what is held back."""
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def _add(self, line: str) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(line.replace("\n", " "))
