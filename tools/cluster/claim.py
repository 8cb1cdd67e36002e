"""Whose the one cluster of a machine is: two checkouts would take the same addresses, and end each other's pods."""

import contextlib
import os
from pathlib import Path

_HOLDER = Path("/run/dpd-live.holder")


class ClaimedError(Exception):
    """Another checkout has a cluster here; the message says which."""


def take(folder: Path) -> None:
    """Claim the machine for the cluster in a folder. Raises ClaimedError.

    The claim of a folder that is gone counts no more: nobody could give it back.
    """
    other = holder()
    if other is not None and other != folder and other.exists():
        raise ClaimedError(f"the cluster of {other} runs on this machine; end it there: make cluster-down")
    give_back(other)
    try:
        number = os.open(_HOLDER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise ClaimedError(f"another cluster starts on this machine; wait for it, or remove {_HOLDER}") from None
    with os.fdopen(number, "w") as file:
        file.write(str(folder))


def holder() -> Path | None:
    """Return the folder whose cluster has the machine, or None."""
    with contextlib.suppress(FileNotFoundError):
        return Path(_HOLDER.read_text())
    return None


def give_back(folder: Path | None) -> None:
    """Let the machine go, if it is that folder's."""
    if folder is not None and holder() == folder:
        _HOLDER.unlink(missing_ok=True)
