"""Programs that come from elsewhere: who cannot have them leaves a test out, or fails where CI is set."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

import debian

Found = TypeVar("Found")


def found(find: Callable[[], Found]) -> Found:
    """Return what `find` finds; where it cannot be had the test is left out, with the reason, or fails in CI."""
    try:
        return find()
    except debian.UnavailableError as problem:
        if os.environ.get("CI"):
            pytest.fail(str(problem))
        pytest.skip(str(problem))
