"""What every part of the fetcher speaks of: files of a model, the pieces they travel in, what may go wrong.

An init container runs this folder with the worker image's own Python: the standard library is all there is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

GIB = 1024**3


class FetchError(Exception):
    """The model cannot be fetched, and trying again would not help. The message is `place: fact; remedy`."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: `path` below the model's folder, `size` in bytes, and a `version` that changes with it."""

    path: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bytes of a file from `start` on: what is read, written and remembered at once."""

    index: int
    start: int
    length: int


class Source(Protocol):
    """Where a model comes from."""

    @property
    def name(self) -> str:
        """How messages call this source."""

    def files(self) -> Sequence[File]:
        """Every file to fetch; raises FetchError."""

    def read(self, file: File, start: int, length: int) -> Iterator[bytes]:
        """Exactly `length` bytes from `start` on, in blocks; raises FetchError."""


Log = Callable[[str], None]


def pieces(size: int, piece_bytes: int) -> list[Piece]:
    """Cut a file of `size` bytes; an empty file has no pieces."""
    starts = range(0, size, piece_bytes)
    return [Piece(index, start, min(piece_bytes, size - start)) for index, start in enumerate(starts)]


def checked(files: Sequence[File], where: str) -> Sequence[File]:
    """Return the files as they are; raises FetchError when there are none or one would leave the model's folder."""
    if not files:
        raise FetchError(f"{where}: no files there; check the model's location")
    for file in files:
        parts = PurePosixPath(file.path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in file.path:
            raise FetchError(f"{where}: a file is named {file.path!r}, which is outside the model; remove it there")
    return files


def shown(count: float) -> str:
    """Write bytes as people read them: `512 B`, `1.5 MiB`, `131.42 GiB`."""
    for unit, name in ((GIB, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= unit:
            return f"{count / unit:.2f}".rstrip("0").rstrip(".") + f" {name}"
    return f"{count:.0f} B"
