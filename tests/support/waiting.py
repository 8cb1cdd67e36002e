"""Waiting for what comes in its own time: on a condition, never on a clock."""

import time
from collections.abc import Callable
from typing import Any


def until(
    holds: Callable[[], Any], what: Callable[[], object], *, patience_seconds: float, pause_seconds: float
) -> Any:
    """Wait until a condition holds and return what it gave; say `what` there was when it never does.

    Raises TimeoutError.
    """
    deadline = time.monotonic() + patience_seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it never came to that; there is {what()}")
        time.sleep(pause_seconds)
    return found
