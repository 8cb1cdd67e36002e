"""What an unquoted word of YAML means to Kubernetes tools, which read YAML 1.1: `no` is false, `1.10` is a number.

The reader resolves with this table and the writer quotes by it, so the two can never disagree.
"""

import re
from math import isfinite

Scalar = str | int | float | bool | None

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS: dict[str, bool] = {
    spelling: value
    for value, words in ((True, ("y", "yes", "on", "true")), (False, ("n", "no", "off", "false")))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?\Z")
_UNBOUNDED = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_LONGEST_INTEGER = 40


class NotFiniteError(ValueError):
    """The word is a number that JSON, and so Kubernetes, cannot carry: infinity or not-a-number."""


def resolve(word: str) -> Scalar:
    """Return what the unquoted `word` stands for. Raises NotFiniteError for infinities and not-a-number."""
    if word in _NULLS:
        return None
    if word in _WORDS:
        return _WORDS[word]
    if _UNBOUNDED.match(word):
        raise NotFiniteError(word)
    if _INTEGER.match(word) and len(word) <= _LONGEST_INTEGER:
        return _integer(word)
    if _FLOAT.match(word):
        number = float(word.replace("_", ""))
        if not isfinite(number):
            raise NotFiniteError(word)
        return number
    return word


def is_plain_string(word: str) -> bool:
    """Whether `word` stays a string when it is written without quotes."""
    try:
        return resolve(word) is word
    except NotFiniteError:
        return False


def _integer(word: str) -> Scalar:
    sign = -1 if word.startswith("-") else 1
    digits = word.lstrip("+-").replace("_", "").lower()
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base) if digits[2:] else word
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)
