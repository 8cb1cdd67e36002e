"""The fetcher as the init container starts it: a process of its own, with the standard library and nothing else."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.paths import CHART

PROGRAM = CHART / "files" / "model" / "fetch_model.py"
PIECE = 64 * 1024


@dataclass(frozen=True)
class Done:
    """How a run ended, and what it said."""

    code: int
    said: str


def command(*arguments: str | Path) -> list[str]:
    """The command line; -S keeps everything away that is not of Python itself."""
    quick = ["--piece-bytes", str(PIECE), "--pause", "0.01", "--attempts", "4"]
    return [sys.executable, "-S", "-B", "-u", str(PROGRAM), *quick, *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    """What a container would have, and the given variables."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH")}
    return {**kept, **variables}


def run(*arguments: str | Path, env: Mapping[str, str] | None = None, file_limit: int | None = None) -> Done:
    """Run it to its end. `file_limit`: bytes that one file may grow to, held by the kernel."""
    limited = ["prlimit", f"--fsize={file_limit}", "--"] if file_limit else []
    done = subprocess.run(
        [*limited, *command(*arguments)],
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stderr)


def start(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start it and return at once."""
    return subprocess.Popen(
        command(*arguments),
        env=environment(**(env or {})),
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.DEVNULL,
    )


def held(folder: Path) -> dict[str, bytes]:
    """The model that lies in a folder: every file but the fetcher's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".dpd-model" not in path.parts
    }
