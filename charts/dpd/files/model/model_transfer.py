"""The work itself: every missing piece of every file, many at a time, from a source to a store.

The first failure stops the others: they end at their next block, and what they had written whole stays remembered.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from model_files import FetchError, File, Log, Piece, Source, checked, shown
from model_store import Store


class _StoppedError(Exception):
    """Another piece failed."""


@dataclass
class _Progress:
    """Bytes moved, said every few seconds."""

    total: int
    log: Log
    every: float
    clock: Callable[[], float] = time.monotonic
    moved: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.began = self.said = self.clock()

    def add(self, count: int) -> None:
        """Count bytes that have arrived; now and then, say how many there are."""
        with self.lock:
            self.moved += count
            now = self.clock()
            if now - self.said < self.every:
                return
            self.said = now
            rate = shown(self.moved / max(now - self.began, 1e-9))
            self.log(f"{shown(self.moved)} of {shown(self.total)}, {rate}/s")


@dataclass
class _Run:
    """One transfer: what is left of each file, and the wish to stop."""

    source: Source
    store: Store
    progress: _Progress
    left: dict[File, int]
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def move(self, file: File, piece: Piece) -> None:
        """Read one piece, write it, remember it; with a file's last piece the file is finished."""
        writer = self.store.writer(file)
        try:
            self._copy(file, piece, writer.write)
        finally:
            writer.close()
        self.store.remember(file, piece)
        with self.lock:
            self.left[file] -= 1
            last = not self.left[file]
        if last:
            self.store.finish(file)

    def _copy(self, file: File, piece: Piece, write: Callable[[int, bytes], None]) -> None:
        at, end = piece.start, piece.start + piece.length
        for block in self.source.read(file, piece.start, piece.length):
            if self.stop.is_set():
                raise _StoppedError
            write(at, block)
            at += len(block)
            self.progress.add(len(block))
        if at != end:
            fact = f"{file.path} gave {at - piece.start} bytes of a piece of {piece.length}"
            raise FetchError(f"{self.source.name}: {fact}; start again once it no longer changes")


def fetch(source: Source, store: Store, parallel: int, log: Log, every: float = 10.0) -> None:
    """Bring every file of `source` into `store`, `parallel` pieces at a time; raises FetchError."""
    with store.held(log):
        files = checked(source.files(), source.name)
        missing = store.begin(files)
        whole = sum(file.size for file in files)
        needed = sum(piece.length for each in missing.values() for piece in each)
        kept = f", {shown(whole - needed)} are here already" if needed < whole else ""
        log(f"{source.name}: {len(files)} files, {shown(whole)}{kept}")
        progress = _Progress(needed, log, every)
        _run(_Run(source, store, progress, {file: len(each) for file, each in missing.items()}), missing, parallel)
        store.verify(files)
        seconds = progress.clock() - progress.began
        log(f"{store.root}: complete, {len(files)} files, {shown(whole)}, {shown(needed / max(seconds, 1e-9))}/s")


def _run(run: _Run, missing: dict[File, list[Piece]], parallel: int) -> None:
    for file, each in missing.items():
        if not each:
            run.store.finish(file)
    with ThreadPoolExecutor(parallel, thread_name_prefix="piece") as pool:
        work = [pool.submit(run.move, file, piece) for file, each in missing.items() for piece in each]
        done, _ = wait(work, return_when=FIRST_EXCEPTION)
        run.stop.set()
        for task in work:
            task.cancel()
    failures = [error for task in done if not task.cancelled() and (error := task.exception())]
    for error in sorted(failures, key=lambda error: isinstance(error, _StoppedError)):
        raise error
