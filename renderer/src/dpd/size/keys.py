"""Reading numbers out of a config.json: each with its name, so that what is missing or odd can be named."""

from collections.abc import Iterable, Mapping
from typing import Any

from dpd.problems import shown
from dpd.size.architecture import RefusedError

Tree = Mapping[str, Any]
_LARGEST = 10**9


class Keys:
    """One mapping of a model's configuration, and how it is called in messages."""

    def __init__(self, held: Tree, name: str = "config.json") -> None:
        """Take the mapping; `name` leads every message."""
        self.held = held
        self.name = name

    def whole(self, *names: str, default: int | None = None) -> int:
        """Return the first of `names` that is there, a whole number above 0. Raises RefusedError without any."""
        found = self.maybe(*names)
        if found is None:
            found = default
        if found is None:
            spelt = " or ".join(names)
            raise RefusedError(
                self.name, f"no {spelt}", "give the configuration of a language model, or the shape by flags"
            )
        return found

    def maybe(self, *names: str) -> int | None:
        """Return the first of `names` that is there and not 0, or None. Raises RefusedError for no whole number."""
        for name in names:
            value = self.held.get(name)
            if value is None:
                continue
            if type(value) is not int or not 0 <= value <= _LARGEST:
                raise RefusedError(
                    f"{self.name}: {name}", f"{shown(str(value))} is not a count", "write a whole number"
                )
            if value:
                return value
        return None

    def text(self, name: str) -> str:
        """Return a word of the configuration, empty when there is none."""
        value = self.held.get(name)
        return value if isinstance(value, str) else ""

    def part(self, name: str) -> "Keys":
        """Return a mapping inside, empty when there is none."""
        value = self.held.get(name)
        return Keys(value if isinstance(value, Mapping) else {}, f"{self.name}: {name}")

    def items(self, name: str) -> list[Any]:
        """Return a list inside, empty when there is none."""
        value = self.held.get(name)
        return value if isinstance(value, list) else []

    def first_set(self, names: Iterable[str]) -> str | None:
        """Return the first of `names` whose value says something."""
        return next((name for name in names if self.held.get(name)), None)
