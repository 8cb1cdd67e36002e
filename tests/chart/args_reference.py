"""The merge of argument lists, written a second time: what the chart's templates are measured against.

It works on positions, not on segments: every word is given to the flag that it follows, then words are picked.
"""

import re
from collections.abc import Sequence

SHORT = {"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "dp": "data-parallel-size", "q": "quantization"}
FLAG = re.compile(r"--?[A-Za-z]")


def flag_name(word: str) -> str | None:
    """Return the one name of the flag that `word` is, or None for a value."""
    if not FLAG.match(word):
        return None
    name = word.lstrip("-").split("=", 1)[0]
    if not word.startswith("--"):
        return "optimization-level" if name.startswith("O") else SHORT.get(name, name)
    name = name.replace("_", "-")
    return name[3:] if name.startswith("no-") else name


def owners(words: Sequence[str]) -> list[str]:
    """Return for each word the name of the flag that it belongs to; "" before the first flag."""
    found: list[str] = []
    for word in words:
        found.append(flag_name(word) or (found[-1] if found else ""))
    return found


def merge(base: Sequence[str], over: Sequence[str]) -> list[str]:
    """Return base with over's flags in the places of its own, and over's other flags behind."""
    base_owners, over_owners = owners(base), owners(over)

    def from_over(owner: str) -> list[str]:
        return [word for word, its in zip(over, over_owners, strict=True) if its == owner]

    in_front = from_over("") if "" not in base_owners else []
    merged: list[str] = []
    for position, owner in enumerate(base_owners):
        if owner not in over_owners:
            merged.append(base[position])
        elif owner not in base_owners[:position]:
            merged.extend(from_over(owner))
    behind = [word for word, its in zip(over, over_owners, strict=True) if its and its not in base_owners]
    return [*in_front, *merged, *behind]
