"""Processes that outlive whoever starts them, each known by a file with its number beside its log."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.1
# They end what they hold when they are asked to; the others have nothing to lose.
_ASKED = ("containerd", "kubelet")


@dataclass(frozen=True, slots=True)
class Daemons:
    """The processes of one folder."""

    folder: Path

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process; its command must hold its name."""
        numbers = self.folder / "pids"
        numbers.mkdir(parents=True, exist_ok=True)
        log = os.open(self.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        files = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=files, setsid=True)
        for each in (log, nothing):
            os.close(each)
        (numbers / name).write_text(str(pid))
        (self.folder / f"{name}.command").write_text("\0".join(command))

    def stop(self, name: str) -> None:
        """End a process that was started here, if it is still the one."""
        path = self.folder / "pids" / name
        if not path.exists():
            return
        pid = int(path.read_text())
        if _runs(pid, name):
            os.kill(pid, signal.SIGTERM if name in _ASKED else signal.SIGKILL)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while _lives(pid) and time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)
            if _runs(pid, name):
                os.kill(pid, signal.SIGKILL)
        path.unlink()

    def restart(self, name: str) -> None:
        """End a process and start it anew with the same command. Raises FileNotFoundError when it was never started."""
        command = (self.folder / f"{name}.command").read_text().split("\0")
        self.stop(name)
        self.start(name, command)

    def words(self) -> str:
        """Return the last words of each."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-800:]}" for path in logs)


def running(marks: Sequence[str]) -> list[str]:
    """Return the processes, but this one, whose command holds one of the words."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        command = _command(int(each.name))
        if int(each.name) != os.getpid() and any(mark in command for mark in marks):
            found.append(f"process {each.name}: {command}")
    return found


def _runs(pid: int, name: str) -> bool:
    return name in _command(pid)


def _lives(pid: int) -> bool:
    """Say whether any thread of a process is still there: the last one has its sockets, when its command is gone."""
    try:
        states = [_state(each) for each in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return Path(f"/proc/{pid}/task").exists()  # one that ended while it was looked at
    return any(each not in ("Z", "X") for each in states)


def _command(pid: int) -> str:
    """Return the command of a process that lives, else nothing."""
    try:
        state = _state(Path(f"/proc/{pid}"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return "" if state == "Z" else command


def _state(process: Path) -> str:
    """Return the letter of a process' or a thread's state. Raises OSError when it is gone."""
    return (process / "stat").read_text().rpartition(")")[2].split()[0]
