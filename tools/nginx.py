"""Find an nginx with Lua for the tests, or unpack Debian's packages of it under .cache/nginx; nothing is installed.

Usage: nginx.py, which prints the program's path.
"""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "nginx"
PACKAGES = ["nginx", "libnginx-mod-http-lua"]
MODULES = ["ndk_http_module.so", "ngx_http_lua_module.so"]


@dataclass(frozen=True)
class Nginx:
    """How to start nginx with Lua: words of the command before its own options, and additions to the environment."""

    command: tuple[str, ...]
    environment: dict[str, str]


class UnavailableError(Exception):
    """No nginx with Lua can be had here; the message says why."""


def debian(root: Path) -> Nginx:
    """Describe Debian's nginx under `root` (/ when installed); raise UnavailableError if a part is missing."""
    program = root / "usr/sbin/nginx"
    modules = [root / "usr/lib/nginx/modules" / name for name in MODULES]
    missing = [str(path) for path in (program, *modules) if not path.exists()]
    if missing:
        raise UnavailableError(f"{missing[0]} is missing")
    libraries = root / "usr/lib" / f"{platform.machine()}-linux-gnu"
    globals_ = " ".join(f"load_module {module};" for module in modules)
    environment = {
        "LUA_PATH": f"{root / 'usr/share/lua/5.1'}/?.lua;;",
        "LD_LIBRARY_PATH": f"{libraries}:{root / 'lib' / libraries.name}",
    }
    return Nginx((str(program), "-g", globals_), environment)


def apt(*arguments: str, folder: Path) -> str:
    """Run apt-get as an ordinary user and return what it prints; raise UnavailableError with its complaint.

    The lists of packages are our own: a new machine has none, and changing the machine's takes root.
    """
    own = {"Dir::State::Lists": FOLDER / "lists", "Dir::Cache": FOLDER / "cache", "APT::Sandbox::User": "root"}
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(["apt-get", *options, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"apt-get {arguments[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout


def unpack() -> None:
    """Download the packages and what they need and unpack them; needs no root and changes nothing outside .cache."""
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise UnavailableError(f"{tool} is not on PATH, and nginx with Lua is not installed")
    shutil.rmtree(FOLDER, ignore_errors=True)
    archives = FOLDER / "archives"
    for folder in (archives, FOLDER / "lists" / "partial", FOLDER / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True)
    apt("update", "--quiet=2", folder=archives)
    plan = apt(
        "install",
        "--print-uris",
        "--quiet=2",
        "-o",
        "Debug::NoLocking=1",
        "--no-install-recommends",
        *PACKAGES,
        folder=archives,
    )
    needed = [line.split()[1].split("_")[0] for line in plan.splitlines() if line.startswith("'")]
    apt("download", "--quiet=2", *needed, folder=archives)
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, FOLDER / "root"], check=True)
    for leftover in (archives, FOLDER / "lists", FOLDER / "cache"):
        shutil.rmtree(leftover)


def find() -> Nginx:
    """OpenResty on PATH, else Debian's nginx as installed, else unpacked under .cache/nginx, downloaded if need be."""
    openresty = shutil.which("openresty")
    if openresty:
        return Nginx((openresty,), {})
    for root in (Path("/"), FOLDER / "root"):
        try:
            return debian(root)
        except UnavailableError:
            continue
    unpack()
    return debian(FOLDER / "root")


if __name__ == "__main__":
    try:
        print(find().command[0])
    except UnavailableError as problem:
        sys.exit(f"nginx: {problem}; install nginx with its Lua module, or OpenResty")
