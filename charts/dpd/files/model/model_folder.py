"""A model in a mounted folder: a bucket through its CSI driver, a Lustre file system, a volume of the user's own."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from model_files import FetchError, File, Log

_BLOCK = 8 * 1024**2


class Folder:
    """A source whose files lie below `root`. Links are followed: a hub's cache consists of them."""

    def __init__(self, root: Path, attempts: int, pause: float, log: Log, sleep: Callable[[float], None] = time.sleep):
        self.name = str(root)
        self._root = root
        self._attempts = attempts
        self._pause = pause
        self._log = log
        self._sleep = sleep

    def files(self) -> Sequence[File]:
        """Every file below the folder; a version is size and time of the last change."""
        try:
            return sorted((self._file(path) for path in self._walk(self._root, ())), key=lambda each: each.path)
        except OSError as error:
            raise FetchError(
                f"{error.filename}: {os.strerror(error.errno or 0)}; check the model's location"
            ) from error

    def read(self, file: File, start: int, length: int) -> Iterator[bytes]:
        """Read a piece; a mount that answers with an error is asked again, from where it stopped."""
        at, failures = start, 0
        while at < start + length:
            try:
                for block in self._blocks(file, at, start + length - at):
                    at, failures = at + len(block), 0
                    yield block
                break
            except OSError as error:
                failures += 1
                if failures >= self._attempts:
                    fact = f"cannot be read at byte {at}: {os.strerror(error.errno or 0)}"
                    raise FetchError(f"{self._root / file.path}: {fact}; look at the mount and its driver") from error
                self._log(f"{file.path}: {os.strerror(error.errno or 0)} at byte {at}, trying again")
                self._sleep(self._pause * 2 ** (failures - 1))
        if start + length == file.size and self._file(self._root / file.path) != file:
            raise FetchError(f"{self._root / file.path}: changed while it was copied; start again once it is whole")

    def _blocks(self, file: File, at: int, length: int) -> Iterator[bytes]:
        descriptor = os.open(self._root / file.path, os.O_RDONLY)
        try:
            while length > 0:
                block = os.pread(descriptor, min(_BLOCK, length), at)
                if not block:
                    fact = f"ends at byte {at} and was listed with {file.size}"
                    raise FetchError(f"{self._root / file.path}: {fact}; start again once it no longer changes")
                yield block
                at, length = at + len(block), length - len(block)
        finally:
            os.close(descriptor)

    def _file(self, path: Path) -> File:
        facts = path.stat()
        return File(path.relative_to(self._root).as_posix(), facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}")

    def _walk(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
        facts = folder.stat()
        here = (facts.st_dev, facts.st_ino)
        if here in above:
            raise FetchError(f"{folder}: a link that leads back to a folder above it; remove it")
        for each in sorted(folder.iterdir()):
            if each.is_dir():
                yield from self._walk(each, (*above, here))
            else:
                yield each
