"""Below the last stop: the block YAML of plain values, the very bytes of PyYAML's emitter in a quarter of its time.

PyYAML decides how each scalar is written, once for each. What goes around scalars is simple, as long as nothing in them
spans lines and no key is long or empty: `text` gives None for all else, which PyYAML must write as a whole.
"""

from collections.abc import Callable, Iterator
from typing import Any

# Far below the 128 characters from which YAML's keys are written with a question mark.
_LONGEST_KEY = 100
_STEP = "  "
Scalar = Callable[[Any], str]


class _NotPlainError(Exception):
    """Something that only PyYAML knows how to write."""


def text(value: dict[str, Any], scalar: Scalar) -> str | None:
    """Return a mapping's text, or None when it takes an emitter; `scalar` returns how a scalar stands in a list."""
    try:
        return "".join(f"{line}\n" for line in _mapping(value, scalar))
    except _NotPlainError:
        return None


def _lines(value: Any, scalar: Scalar) -> Iterator[str]:
    if type(value) is dict and value:
        return _mapping(value, scalar)
    if type(value) is list and value:
        return _list(value, scalar)
    return iter((_written(value, scalar),))


def _mapping(value: dict[str, Any], scalar: Scalar) -> Iterator[str]:
    for key, each in value.items():
        if type(key) is not str or not 0 < len(key) <= _LONGEST_KEY:
            raise _NotPlainError
        if each and type(each) in (dict, list):
            yield f"{_written(key, scalar)}:"
            yield from (_STEP + line for line in _lines(each, scalar))
        else:
            yield f"{_written(key, scalar)}: {_written(each, scalar)}"


def _list(value: list[Any], scalar: Scalar) -> Iterator[str]:
    for each in value:
        lead = "- "
        for line in _lines(each, scalar):
            yield lead + line
            lead = _STEP


def _written(value: Any, scalar: Scalar) -> str:
    if type(value) is str and not value.isprintable():
        raise _NotPlainError
    return scalar(value)
