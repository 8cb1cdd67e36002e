"""Whose the one cluster of a machine is: two checkouts would take the same addresses, and end each other's pods."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


class ClaimedError(Exception):
    """Another checkout has a cluster here; the message says which."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that says which folder's cluster has the machine; a restart of the machine empties it."""

    file: Path = Path("/run/dpd-live.holder")

    def take(self, folder: Path) -> None:
        """Claim the machine for the cluster in a folder. Raises ClaimedError.

        The claim of a folder that is gone counts no more: nobody could give it back.
        """
        other = self.holder()
        if other is not None and other != folder and other.exists():
            raise ClaimedError(f"the cluster of {other} runs on this machine; end it there: make cluster-down")
        if other is not None:
            self.give_back(other)
        try:
            number = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            raise ClaimedError(f"another cluster starts on this machine; wait for it, or remove {self.file}") from None
        with os.fdopen(number, "w") as file:
            file.write(str(folder))

    def is_for(self, folder: Path) -> bool:
        """Whether the machine is that folder's, or nobody's."""
        return self.holder() in (None, folder)

    def give_back(self, folder: Path) -> None:
        """Let the machine go, if it is that folder's."""
        if self.holder() == folder:
            self.file.unlink(missing_ok=True)

    def holder(self) -> Path | None:
        """Return the folder whose cluster has the machine, or None."""
        with contextlib.suppress(FileNotFoundError):
            return Path(self.file.read_text())
        return None
