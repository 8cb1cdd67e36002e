"""One mapping of the configuration, read key by key; problems are collected, not raised."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from dpd_router.errors import Problem

_MISSING = object()
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ALIKE = 0.75  # below it a hint is a guess: half of two short words are often the same letters


class Section:
    """A mapping at `path`. Each reader returns a usable value even when it reports a problem."""

    def __init__(self, path: str, value: Any, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._known: list[str] = []
        match value:
            case dict():
                self._value: dict[Any, Any] = value
            case _:
                self._value = {}
                self.problem("", f"must be a mapping, is {_kind(value)}", "write it as key: value lines")

    def __enter__(self) -> "Section":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def problem(self, key: str, fact: str, remedy: str) -> None:
        """Report a problem with `key`, or with the section itself when `key` is empty."""
        self.problems.append(Problem(self._at(key), fact, remedy))

    def has(self, key: str) -> bool:
        """Say whether the key is set to something, and count it as known."""
        self._known.append(key)
        return self._value.get(key) is not None

    def section(self, key: str, *, required: bool = False) -> "Section":
        """Return a mapping inside this one; an empty one when it is absent."""
        value = self._take(key, _MISSING if required else {}, "add this section")
        return Section(self._at(key), {} if value is _MISSING else value, self.problems)

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """Return a string that is not empty, one of `choices` when there are any."""
        value = self._take(key, _MISSING if default is None else default, "add a string")
        match value:
            case str() if value and (not choices or value in choices):
                return value
            case str() if choices:
                self.problem(key, f"{value!r} is not known here", f"use one of: {', '.join(choices)}")
            case _ if value is not _MISSING:
                self.problem(key, f"must be a string that is not empty, is {_kind(value)}", "write a string")
        return default or ""

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        """Return a whole number between `low` and `high`."""
        value = self._take(key, _MISSING if default is None else default, f"add a number from {low} to {high}")
        match value:
            case bool():
                pass
            case int() if low <= value <= high:
                return value
        if value is not _MISSING:
            self.problem(key, f"{_shown(value)} is no whole number from {low} to {high}", "write such a number")
        return low if default is None else default

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        """Return a time in seconds between `low` and `high`."""
        return self._number(key, default, low, high, ("time", " seconds", "seconds as a number"))

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number between `low` and `high`."""
        return self._number(key, default, low, high, ("number", "", "such a number"))

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default, "")
        match value:
            case bool():
                return value
        self.problem(key, f"{_shown(value)} is neither true nor false", "write true or false")
        return default

    def names(self) -> tuple[str, ...]:
        """Return the keys of a mapping whose keys are names of the user's own, and count them as known."""
        for key in self._value:
            if type(key) is not str:
                self.problem(str(key), "is no text", "quote the name")
        found = tuple(key for key in self._value if type(key) is str)
        self._known.extend(self._value)
        return found

    def word(self, key: str, default: str) -> str:
        """Return a name of a header or a cookie; empty for none."""
        value = self._take(key, default, "")
        match value:
            case "":
                return ""
            case str() if _NAME.fullmatch(value):
                return value
        self.problem(key, f"{_shown(value)} is no name of a header or cookie", "use letters, digits and dashes")
        return default

    def share(self, key: str, default: float) -> float:
        """Return a number from 0 to 1."""
        value = self._take(key, default, "")
        match value:
            case bool():
                pass
            case int() | float() if 0 <= value <= 1:
                return float(value)
        self.problem(key, f"{_shown(value)} is no number from 0 to 1", "write the share as such a number")
        return default

    def ports(self, key: str, *, required: bool = False) -> tuple[int, ...]:
        """Return a list of TCP ports."""
        value = self._take(key, _MISSING if required else [], "add one port per tensor-parallel rank")
        match value:
            case [*items] if all(_is_port(item) for item in items) and (items or not required):
                return tuple(items)
        if value is not _MISSING:
            self.problem(key, f"{_shown(value)} is no list of ports", "write one number from 1 to 65535 per rank")
        return ()

    def items(self, key: str) -> list["Section"]:
        """Return the mappings of a list."""
        value = self._take(key, [], "")
        match value:
            case [*entries]:
                return [
                    Section(f"{self._at(key)}[{index}]", entry, self.problems) for index, entry in enumerate(entries)
                ]
        self.problem(key, f"must be a list, is {_kind(value)}", "write one `- host: …` entry per host")
        return []

    def close(self) -> None:
        """Report every key that nothing has asked for."""
        for key in self._value:
            if key not in self._known:
                near = get_close_matches(str(key), self._known, 1, _ALIKE)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(self._known))}"
                self.problem(str(key), "is not a key of this section", hint)

    def _number(self, key: str, default: float, low: float, high: float, words: tuple[str, str, str]) -> float:
        value = self._take(key, default, "")
        match value:
            case bool():
                pass
            case int() | float() if low <= value <= high:
                return float(value)
        kind, unit, remedy = words
        self.problem(key, f"{_shown(value)} is no {kind} from {low:g} to {high:g}{unit}", f"write {remedy}")
        return default

    def _take(self, key: str, default: Any, remedy: str) -> Any:
        if key not in self._known:
            self._known.append(key)
        value = self._value.get(key)
        if value is not None:
            return value
        if default is _MISSING:
            self.problem(key, "required", remedy)
        return default

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part) or "(the file)"


def _is_port(value: Any) -> bool:
    match value:
        case bool():
            return False
        case int():
            return 1 <= value <= 65535
    return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    names = {
        "NoneType": "empty",
        "dict": "a mapping",
        "list": "a list",
        "str": "an empty string" if value == "" else "a string",
        "bool": "a boolean",
        "int": "a whole number",
        "float": "a number",
    }
    return names.get(type(value).__name__, f"a {type(value).__name__}")
