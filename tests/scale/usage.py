"""What the system says of one process, and of the programs it starts, while something happens."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PAUSE_SECONDS = 0.2
MIB = 1024 * 1024


@dataclass(slots=True)
class Usage:
    """The most memory (resident) that was seen in the process, and with its children; processor seconds of both."""

    own: int = 0
    together: int = 0
    seconds: float = 0.0


@contextmanager
def used(pid: int) -> Iterator[Usage]:
    """Look at a process while the block runs; the usage is whole when it ends."""
    usage, ended, began = Usage(), threading.Event(), _seconds(pid)

    def look() -> None:
        while not ended.wait(_PAUSE_SECONDS):
            _see(usage, pid)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield usage
    finally:
        ended.set()
        looking.join()
        _see(usage, pid)
        usage.seconds = _seconds(pid) - began


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _see(usage: Usage, pid: int) -> None:
    own = resident(pid)
    usage.own = max(usage.own, own)
    usage.together = max(usage.together, own + sum(map(resident, _children(pid))))


def _children(pid: int) -> list[int]:
    try:
        found = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(each) for line in found for each in line]


def _seconds(pid: int) -> float:
    """Return processor time, with that of children that have ended."""
    ran = sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return ran / 1e9 + sum(map(int, fields[13:15])) / _TICK
