"""Ids for requests and transfers: random, so that no two routers give the same; fetched many at a time."""

import os
from typing import Final

_BYTES: Final = 16
_TOGETHER: Final = 64


class Ids:
    """Gives ids of 32 hexadecimal digits, none of them twice."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        """Return an id that no router ever gave before."""
        if not self._ready:
            digits = os.urandom(_BYTES * _TOGETHER).hex()
            self._ready = [digits[start : start + 2 * _BYTES] for start in range(0, len(digits), 2 * _BYTES)]
        return self._ready.pop()
