"""Beside the peers: what the system says a process and its children have used."""

import os
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """Processor time in seconds, user and system, and memory that is theirs (PSS) in bytes."""

    seconds: float
    memory: int


def used_by(pid: int) -> Used:
    """Return what a process and all below it have used so far."""
    tree = _tree(pid)
    return Used(sum(map(_seconds, tree)), sum(map(_memory, tree)))


def _tree(pid: int) -> list[int]:
    below = [int(each) for file in Path(f"/proc/{pid}/task").glob("*/children") for each in file.read_text().split()]
    return [pid, *(each for child in below for each in _tree(child))]


def _seconds(pid: int) -> float:
    """With the finer clock where the kernel has it: ticks are hundredths of a second."""
    try:
        ran = sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    except (FileNotFoundError, ValueError):
        ran = 0
    if ran:
        return ran / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
