"""Debian's packages, unpacked under .cache for the tests; nothing is installed and no root is needed."""

import contextlib
import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


class UnavailableError(Exception):
    """A program cannot be had here; the message says why."""


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look into `folder` and fill it; the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt(*arguments: str, folder: Path) -> str:
    """Run apt-get as an ordinary user and return what it prints; raise UnavailableError with its complaint.

    The lists of packages are our own, below `folder`: a new machine has none, and changing the machine's takes root.
    """
    own = {"Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache", "APT::Sandbox::User": "root"}
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    place = folder / "archives"
    done = subprocess.run(["apt-get", *options, *arguments], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"apt-get {arguments[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout


def unpack(folder: Path, packages: list[str]) -> Path:
    """Download packages and what they need, as far as this machine lacks it, and unpack them; return their root.

    Changes nothing outside `folder`, which is emptied first. Raises UnavailableError.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise UnavailableError(f"{tool} is not on PATH, and {packages[0]} is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / "archives"
    for each in (archives, folder / "lists" / "partial", folder / "cache" / "archives" / "partial"):
        each.mkdir(parents=True)
    apt("update", "--quiet=2", folder=folder)
    wanted = ["install", "--print-uris", "--quiet=2", "-o", "Debug::NoLocking=1", "--no-install-recommends", *packages]
    plan = apt(*wanted, folder=folder)
    lacking = (line.split()[1].split("_")[0] for line in plan.splitlines() if line.startswith("'"))
    needed = sorted(
        {*packages, *lacking}
    )  # one that is installed while the other is not is wanted in this root as well
    apt("download", "--quiet=2", *needed, folder=folder)
    root = folder / "root"
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
    for leftover in (archives, folder / "lists", folder / "cache"):
        shutil.rmtree(leftover)
    return root
