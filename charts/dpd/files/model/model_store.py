"""Where a model goes: a folder that always knows which pieces of which files are safely in it.

Beside the model lies a folder of its own. For each file it holds a journal (which version, which pieces are written)
and, until the file is complete, the file itself: a restarted container goes on where the last one stopped, and an
engine never sees half a file.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_files import FetchError, File, Log, Piece, pieces, shown

STATE = ".dpd-model"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder and the size of the pieces that it remembers."""

    root: Path
    piece_bytes: int
    remedy_when_full: str

    @contextlib.contextmanager
    def held(self, log: Log) -> Iterator[None]:
        """Own the folder alone: on a node's disk two workers may share it. Waits for the other one."""
        self._state.mkdir(parents=True, exist_ok=True)
        with (self._state / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log(f"{self.root}: another worker is filling it; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def begin(self, files: Sequence[File]) -> dict[File, list[Piece]]:
        """Drop what belongs to none of `files`, and return for each of them the pieces that are missing.

        A file that is complete is not among them. Raises FetchError when the missing pieces cannot fit.
        """
        self._drop_others(files)
        missing = {file: self._missing(file) for file in files if not self._is_complete(file)}
        needed = sum(piece.length for each in missing.values() for piece in each)
        free = os.statvfs(self.root)
        room = free.f_bavail * free.f_frsize
        if needed > room:
            fact = f"{shown(needed)} are still to come and {shown(room)} are free"
            raise FetchError(f"{self.root}: {fact}; {self.remedy_when_full}")
        for file in missing:
            with self.told_when_full(file):
                self._prepare(file)
        return missing

    def writer(self, file: File) -> "Writer":
        """Open the unfinished file for writing at any place."""
        return Writer(self, file)

    def finish(self, file: File) -> None:
        """Give a file whose pieces are all there its name; raises FetchError when its size is not what it must be."""
        partial, target = self.partial(file), self.root / file.path
        size = partial.stat().st_size
        if size != file.size:
            raise FetchError(f"{target}: {size} bytes are there instead of {file.size}; delete it and start again")
        with self.told_when_full(file):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.chmod(0o644)
            partial.replace(target)

    def verify(self, files: Sequence[File]) -> None:
        """Look at every file once more; raises FetchError naming all that are absent or have another size."""
        wrong = [file.path for file in files if not self._is_complete(file)]
        if wrong:
            raise FetchError(f"{self.root}: absent or of another size: {', '.join(wrong)}; start again")

    def remember(self, file: File, piece: Piece) -> None:
        """Note that a piece is written and flushed. One short append, which no other can tear."""
        with self.told_when_full(file), self._journal(file).open("ab", buffering=0) as journal:
            journal.write(f"{piece.index}\n".encode())

    @contextlib.contextmanager
    def told_when_full(self, file: File) -> Iterator[None]:
        """Turn the errors of a full folder into FetchError."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            fact = f"no room for the rest of {file.path} ({os.strerror(error.errno)})"
            raise FetchError(f"{self.root}: {fact}; {self.remedy_when_full}") from error

    @property
    def _state(self) -> Path:
        return self.root / STATE

    def _journal(self, file: File) -> Path:
        return self._state / f"{_key(file)}.journal"

    def partial(self, file: File) -> Path:
        """Where the file lies until it is complete."""
        return self._state / f"{_key(file)}.partial"

    def _header(self, file: File) -> str:
        return json.dumps([file.path, file.size, file.version, self.piece_bytes])

    def _written(self, file: File) -> set[int] | None:
        """The pieces that the journal tells of; None when it tells of another version, or is not there."""
        try:
            lines = self._journal(file).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None
        # What follows the last line break was cut off when the container ended.
        header, *written = lines[:-1] or [""]
        return {int(each) for each in written if each.isdigit()} if header == self._header(file) else None

    def _missing(self, file: File) -> list[Piece]:
        written = self._written(file)
        if written is None or not self.partial(file).exists():
            return pieces(file.size, self.piece_bytes)
        return [piece for piece in pieces(file.size, self.piece_bytes) if piece.index not in written]

    def _is_complete(self, file: File) -> bool:
        target, written = self.root / file.path, self._written(file)
        if written is None or not target.is_file() or target.stat().st_size != file.size:
            return False
        return written >= {piece.index for piece in pieces(file.size, self.piece_bytes)}

    def _prepare(self, file: File) -> None:
        journal, partial = self._journal(file), self.partial(file)
        if self._written(file) is None or not partial.exists():
            partial.unlink(missing_ok=True)
            journal.write_text(self._header(file) + "\n", encoding="utf-8")
        else:
            # A torn last line must not swallow the first line that this run appends.
            text = journal.read_text(encoding="utf-8")
            if not text.endswith("\n"):
                journal.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
        with partial.open("ab") as opened:
            opened.truncate(file.size)

    def _drop_others(self, files: Sequence[File]) -> None:
        wanted = {self.root / file.path for file in files}
        kept = {self._state / "lock"} | {place for file in files for place in (self._journal(file), self.partial(file))}
        for found in sorted(self.root.rglob("*"), reverse=True):
            if found.is_dir() and not found.is_symlink():
                if found != self._state and not any(found.iterdir()):
                    found.rmdir()
            elif found not in wanted and found not in kept:
                found.unlink()


class Writer:
    """The unfinished file of `file`, open. Threads write different pieces of it at once."""

    def __init__(self, store: Store, file: File) -> None:
        self._store = store
        self._file = file
        self._descriptor = os.open(store.partial(file), os.O_WRONLY)

    def write(self, start: int, block: bytes) -> None:
        """Write a block at `start`; raises FetchError when the folder is full."""
        with self._store.told_when_full(self._file):
            view = memoryview(block)
            while view:
                count = os.pwrite(self._descriptor, view, start)
                start, view = start + count, view[count:]

    def close(self) -> None:
        """Flush what was written, so that the journal never claims more than a disk holds."""
        try:
            with self._store.told_when_full(self._file):
                os.fdatasync(self._descriptor)
        finally:
            os.close(self._descriptor)


def _key(file: File) -> str:
    return hashlib.sha256(file.path.encode()).hexdigest()[:32]
