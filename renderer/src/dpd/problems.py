"""What is wrong with a manifest, as data: where, what is the case, what to do about it.

Every stage after the reader answers with problems; none prints and none raises for a bad manifest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

FieldPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_SHOWN = 70


class Severity(Enum):
    """How bad it is: an error stops the rendering, a warning only under --strict."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` in the document, the `fact`, the `remedy`, and the line when it is known."""

    path: FieldPath
    fact: str
    remedy: str
    severity: Severity = Severity.ERROR
    line: int | None = None

    @property
    def text(self) -> str:
        """Path, fact and remedy on one line, as every output shows them."""
        sentence = f"{self.fact}; {self.remedy}" if self.remedy else self.fact
        return f"{path_text(self.path)}: {sentence}" if self.path else sentence

    @property
    def is_error(self) -> bool:
        """Whether this problem stops the rendering."""
        return self.severity is Severity.ERROR

    def at_line(self, line: int | None) -> "Problem":
        """The same problem, known to lie on `line` (1 for the first); a line it already has is kept."""
        return self if self.line is not None else replace(self, line=line)


def warning(path: FieldPath, fact: str, remedy: str) -> Problem:
    """Build a problem that is legal but unwise."""
    return Problem(path, fact, remedy, Severity.WARNING)


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """Drop repetitions and sort as a reader goes through the file: by line, then by path, then by text."""
    return sorted(set(problems), key=lambda each: (each.line or 0, path_text(each.path), each.text))


def strict(problems: Iterable[Problem]) -> list[Problem]:
    """Turn every warning into an error."""
    return [replace(each, severity=Severity.ERROR) for each in problems]


def path_text(path: FieldPath) -> str:
    """Write a path as people write it: `spec.worker.args[3]`, `limits["nvidia.com/gpu"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.match(step):
            text += f".{short(step)}" if text else short(step)
        else:
            text += f"[{shown(step)}]"
    return text


def shown(text: str) -> str:
    """Quote a string of the manifest for a message: one line, printable, never longer than a message can carry."""
    return f'"{short(text)}"'


def short(text: str) -> str:
    """Write a word of the manifest into a message as `shown` does, without quotes."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)
