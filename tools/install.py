"""Make the virtual environment of the workspace: locked dependencies, then the members as they lie here.

Runs on the bare interpreter, before anything is installed. Usage: install.py [--lock] VENV
"""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
MINIMUM = (3, 11)
BUILD_BACKEND = "requirements-build.in"
UV = "uv==0.13.9"


def members() -> list[Path]:
    """The folders of the workspace's Python packages, from pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [ROOT / member for member in settings["tool"]["dpd"]["workspace"]["members"]]


def run(*command: str | Path) -> None:
    """Run a command from the root; its failure is ours."""
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


def lock(python: Path) -> None:
    """Resolve requirements.lock, then each image's share of it.

    For every platform, and with hashes instead of addresses, so that any index serves it.
    """
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    flags = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"]
    resolve: list[str | Path] = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-annotate", *flags]
    projects = [member.relative_to(ROOT) / "pyproject.toml" for member in members()]
    run(*resolve, "--upgrade", "requirements.in", *projects, "-o", LOCK)
    for project in projects:
        if project.parts[0] == "images":
            # `compile` is the extra of an image that compiles some of its package.
            extra = ["--extra", "compile"] if "compile" in _extras(ROOT / project) else []
            run(*resolve, *extra, "--constraint", LOCK, project, BUILD_BACKEND, "-o", ROOT / project.parent / LOCK.name)


def _extras(project: Path) -> dict[str, list[str]]:
    extras: dict[str, list[str]] = tomllib.loads(project.read_text())["project"].get("optional-dependencies", {})
    return extras


def install(python: Path) -> None:
    """Install the locked packages, then the members without asking an index again."""
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The lock names all there is. A pip that looked for itself would find versions that came after it, and refuse them.
    run(*pip, "--no-deps", "--require-hashes", "--requirement", LOCK)
    editable = [part for member in members() for part in ("--editable", member)]
    run(*pip, "--no-deps", "--no-build-isolation", *editable)


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        wanted = ".".join(map(str, MINIMUM))
        print(f"python: {found} is too old; install {wanted} or newer, or run make PYTHON=/path/to/it", file=sys.stderr)
        return 2
    folder = Path(arguments[-1])
    python = folder.resolve() / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if arguments[0] == "--lock":
        lock(python)
        return 0
    print("installing the locked Python packages into", folder, file=sys.stderr)
    install(python)
    (folder / ".installed").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
