"""Programs that the tests need, built of pinned Go modules: what the folders of such modules have in common.

Runs on the bare interpreter.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def digest(folder: Path, *more: str) -> str:
    """What a module's program is made from, as one word: its Go files and pins, and files of `more` patterns."""
    patterns = ("*.go", "go.mod", "go.sum", "provision.py", *more)
    files = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in [*files, Path(__file__)])).hexdigest()


def is_built(stamp: Path, wanted: str) -> bool:
    """Whether the stamp says that all is there; it is touched then, so that make need not ask again."""
    if not stamp.exists() or stamp.read_text() != wanted:
        return False
    stamp.touch()
    return True


def has_go(builds: str) -> bool:
    """Whether there is a Go to build with; says on stderr what it `builds` when there is none."""
    if shutil.which("go"):
        return True
    print(f"go: not on PATH; install Go 1.26 or newer, it builds {builds}", file=sys.stderr)
    return False


def build(folder: Path, program: Path, symbols: Iterable[str] = (), package: str = ".") -> None:
    """Build a module's program, or a package that it pins, at the lowest priority.

    `symbols` are the linker's, as `-X name=value`. Raises CalledProcessError with the compiler's words printed.
    """
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    flags = ["-trimpath", "-buildvcs=false", f"-ldflags={' '.join(['-s -w', *symbols])}"]
    command = [*nice, "go", "build", *flags, "-o", str(program), package]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "CGO_ENABLED": "0"})
