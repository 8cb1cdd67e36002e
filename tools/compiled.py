"""Compile the router as its image has it, into .cache/compiled, for the tests and the benchmarks.

Usage: compiled.py. Runs on the workspace's interpreter, whose headers and a C compiler it needs. Prints the folder: put
first on PYTHONPATH, it is what is run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from debian import alone
from router_image import settings

ROOT = Path(__file__).resolve().parent.parent
ROUTER = ROOT / "images" / "router"
FOLDER = ROOT / ".cache" / "compiled"
WANTED = "HATCH_BUILD_HOOK_ENABLE_MYPYC"


def compiled() -> Path:
    """Return the folder with the compiled package, built unless it is there and made of the same.

    Raises SystemExit with what this machine lacks, CalledProcessError with the compiler's words printed.
    """
    with alone(FOLDER):
        stamp, wanted = FOLDER / ".inputs", inputs()
        if not stamp.exists() or stamp.read_text() != wanted:
            lacking = missing()
            if lacking:
                raise SystemExit(f"compiled.py: {lacking}")
            shutil.rmtree(FOLDER, ignore_errors=True)
            build()
            stamp.write_text(wanted)
    return FOLDER


def inputs() -> str:
    """Digest of what it is made of: sources, settings, what compiles them, and the interpreter it is for."""
    files = [*sorted((ROUTER / "src").rglob("*.py")), ROUTER / "pyproject.toml", ROUTER / "requirements.lock"]
    total = hashlib.sha256(sys.version.encode())
    for path in [*files, Path(__file__)]:
        total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    total.update(repr(settings(WANTED)).encode())
    return total.hexdigest()


def missing() -> str | None:
    """Say what this machine lacks, None when it has all."""
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        return f"{compiler} is not on PATH; install a C compiler (Debian: apt-get install gcc libc6-dev)"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists():
        return f"{headers} is not there; install Python's headers (Debian: apt-get install python3-dev)"
    return None


def build() -> None:
    """Build the wheel from a copy, for the compiler writes among the sources, and unpack it."""
    with tempfile.TemporaryDirectory(prefix="dpd-compile-") as name:
        copy = Path(name) / "router"
        shutil.copytree(ROUTER, copy, ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", name, str(copy)]
        subprocess.run(command, check=True, env={**os.environ, **settings(WANTED)})
        (wheel,) = Path(name).glob("*.whl")
        zipfile.ZipFile(wheel).extractall(FOLDER)


if __name__ == "__main__":
    print(compiled())
