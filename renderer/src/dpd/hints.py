"""The nearest match to a misspelt word, for the remedy of a problem."""

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word` (case does not count), or None when none is alike."""
    by_folded = {each.casefold(): each for each in known}
    found = get_close_matches(word.casefold()[:100], list(by_folded), n=1, cutoff=_ALIKE)
    return by_folded[found[0]] if found else None


def listed(words: Iterable[str]) -> str:
    """Write words as `a, b or c`."""
    *head, last = list(words)
    return f"{', '.join(head)} or {last}" if head else last
