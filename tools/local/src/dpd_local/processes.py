"""Fourth stop: start the planned processes, wait until they are ready, end them. Nothing else here acts on them."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from dpd_local.plan import Plan, Process

READY_SECONDS = 60.0
GRACE_SECONDS = 10.0
TAIL_LINES = 15
PR_SET_PDEATHSIG = 1
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "PYTHONWARNINGS", "PYTHONPATH")


class StartError(Exception):
    """A process ended or stayed silent before it was ready; the text has its last lines."""


class Running:
    """The processes of one plan while they run; each writes to `<folder>/<name>.log`."""

    def __init__(self, plan: Plan, folder: Path, ready_seconds: float = READY_SECONDS) -> None:
        self.plan = plan
        self._folder = folder
        self._ready_seconds = ready_seconds
        self._started: list[tuple[Process, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        """Start all, in the plan's order, and wait for each one's health. Raises StartError."""
        for process in self.plan.processes:
            self._started.append((process, self._spawn(process)))
        for process, handle in self._started:
            self._wait(process, handle)

    def kill(self, process: Process) -> None:
        """End a process and its children at once, as a node that is lost would: SIGKILL to its whole session."""
        handle = self._handle(process)
        os.killpg(handle.pid, signal.SIGKILL)
        handle.wait()

    def restart(self, process: Process) -> None:
        """Start a process that has ended once more, at the same port, and wait for its health. Raises StartError.

        Its log goes on where it was.
        """
        position = self._started.index((process, self._handle(process)))
        handle = self._spawn(process)
        self._started[position] = (process, handle)
        self._wait(process, handle)

    def log(self, process: Process) -> str:
        """What a process has printed so far."""
        path = self._folder / f"{process.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self) -> dict[str, int]:
        """Process identifiers by name."""
        return {process.name: handle.pid for process, handle in self._started}

    def tails(self) -> str:
        """The last lines of every log, for the person who reads a failure."""
        return "\n".join(self._tail(process) for process, _ in self._started)

    def stop(self) -> None:
        """End every process, the router first: SIGTERM, then SIGKILL after a grace period."""
        for _, handle in reversed(self._started):
            if handle.poll() is None:
                handle.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for _, handle in reversed(self._started):
            try:
                handle.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                handle.kill()
                handle.wait()
        self._started.clear()

    def _handle(self, process: Process) -> subprocess.Popen[bytes]:
        return next(handle for each, handle in self._started if each is process)

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        for folder in (self._folder, *process.folders):
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in process.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        inherited = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        variables = {**inherited, **process.environment, "PYTHONUNBUFFERED": "1"}
        with (self._folder / f"{process.name}.log").open("ab") as log:
            return subprocess.Popen(
                process.command,
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread is running when processes start
            )

    def _tail(self, process: Process) -> str:
        lines = self.log(process).splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {process.name}: last lines of its log", *lines])

    def _wait(self, process: Process, handle: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while time.monotonic() < deadline:
            if handle.poll() is not None:
                fact = f"{process.name}: ended with status {handle.returncode} before it was ready"
                raise StartError(f"{fact}; read its log below\n{self._tail(process)}")
            if is_ready(process):
                return
            time.sleep(0.05)
        fact = f"{process.name}: {process.health} did not say ready within {self._ready_seconds:.0f} s"
        raise StartError(f"{fact}; read its log below\n{self._tail(process)}")


def _end_with_parent() -> None:
    """Ask Linux to end this process when the one that started it dies, even by SIGKILL; elsewhere nothing can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_ready(process: Process) -> bool:
    """Whether its health answers 200 and, of a router, whether it sees every worker it should."""
    try:
        with urllib.request.urlopen(process.health, timeout=2) as answer:  # noqa: S310 - always our own http://127.0.0.1
            healthy = json.loads(answer.read())["healthy"] if process.sees else {}
            return bool(answer.status == 200 and all(healthy.get(role) == n for role, n in process.sees.items()))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextlib.contextmanager
def running(plan: Plan, folder: Path, ready_seconds: float = READY_SECONDS) -> Iterator[Running]:
    """Start a plan and end it on every way out, also when it is told to end or its terminal closes.

    Each process has `ready_seconds` to become ready.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        """Turn a signal into an exception, so that every process is ended."""
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    processes = Running(plan, folder, ready_seconds)
    try:
        processes.start()
        yield processes
    finally:
        processes.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
