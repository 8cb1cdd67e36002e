"""Find an nginx with Lua for the tests, or unpack Debian's packages of it under .cache/nginx; nothing is installed.

Usage: nginx.py, which prints the program's path.
"""

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from debian import UnavailableError, alone, unpack

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "nginx"
PACKAGES = ["nginx", "libnginx-mod-http-lua"]
MODULES = ["ndk_http_module.so", "ngx_http_lua_module.so"]


@dataclass(frozen=True)
class Nginx:
    """How to start nginx with Lua: words of the command before its own options, and additions to the environment."""

    command: tuple[str, ...]
    environment: dict[str, str]


def installed(root: Path) -> Nginx:
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


def find() -> Nginx:
    """OpenResty on PATH, else Debian's nginx as installed, else unpacked under .cache/nginx, downloaded if need be."""
    openresty = shutil.which("openresty")
    if openresty:
        return Nginx((openresty,), {})
    with alone(FOLDER):
        for root in (Path("/"), FOLDER / "root"):
            try:
                return installed(root)
            except UnavailableError:
                continue
        return installed(unpack(FOLDER, PACKAGES))


if __name__ == "__main__":
    try:
        print(find().command[0])
    except UnavailableError as problem:
        sys.exit(f"nginx: {problem}; install nginx with its Lua module, or OpenResty")
