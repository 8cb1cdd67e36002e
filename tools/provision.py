"""Put the pinned Go tools under .cache/bin: helm (4), helm3, ct, helm-unittest and kubeconform.

The versions live in tools/go.mod and nowhere else. A tool that is already on PATH in that version is linked; any
other is built from its Go module. Runs on the bare interpreter. Usage: provision.py helm|all
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import gobuild

TOOLS = Path(__file__).resolve().parent
BIN = TOOLS.parent / ".cache" / "bin"


class Tool(NamedTuple):
    """One program: the name we call it by, the names it has elsewhere, its package, and how it tells its version."""

    name: str
    package: str
    module: str
    version_arguments: tuple[str, ...]
    also_called: tuple[str, ...] = ()
    version_symbol: str = ""
    kubernetes_symbols: tuple[str, ...] = ()


ALL = (
    Tool(
        "helm",
        "helm.sh/helm/v4/cmd/helm",
        "helm.sh/helm/v4",
        ("version", "--short"),
        ("helm4",),
        "helm.sh/helm/v4/internal/version.version",
    ),
    Tool(
        "helm3",
        "helm.sh/helm/v3/cmd/helm",
        "helm.sh/helm/v3",
        ("version", "--short"),
        ("helm",),
        "helm.sh/helm/v3/internal/version.version",
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersion", "helm.sh/helm/v3/pkg/lint/rules.k8sVersion"),
    ),
    Tool("ct", "github.com/helm/chart-testing/v3/ct", "github.com/helm/chart-testing/v3", ("version",)),
    Tool("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "github.com/yannh/kubeconform", ("-v",)),
    Tool(
        "helm-unittest",
        "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
        "github.com/helm-unittest/helm-unittest",
        (),
        ("untt",),
    ),
)


def pinned() -> dict[str, str]:
    """Module path to version, as tools/go.mod has them."""
    return dict(re.findall(r"^\s*(\S+) (v\S+)", (TOOLS / "go.mod").read_text(), re.MULTILINE))


def output(*command: str) -> str:
    """What a command prints on either stream; empty when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return done.stdout + done.stderr


def has_version(tool: Tool, path: str, version: str) -> bool:
    """Whether the program at `path` is this tool in this version, by its build record or by its own word."""
    record = output("go", "version", "-m", path)
    if re.search(rf"^\s*mod\s+{re.escape(tool.module)}\s+{re.escape(version)}\s", record, re.MULTILINE):
        return True
    if not tool.version_arguments:
        return False
    return bool(re.search(rf"\b{re.escape(version)}\b", output(path, *tool.version_arguments)))


def on_path(tool: Tool, version: str) -> str | None:
    """The program on PATH that is this tool in this version, outside our own folder."""
    for name in (tool.name, *tool.also_called):
        found = shutil.which(name)
        if found and Path(found).parent.resolve() != BIN.resolve() and has_version(tool, found, version):
            return found
    return None


def linker_flags(tool: Tool, versions: dict[str, str]) -> str:
    """What the tool's own makefile would tell the linker: its version, and the Kubernetes it renders for by default."""
    symbols = {tool.version_symbol: versions[tool.module]} if tool.version_symbol else {}
    minor = versions["k8s.io/client-go"].split(".")[1]
    for prefix in tool.kubernetes_symbols:
        symbols |= {f"{prefix}Major": "1", f"{prefix}Minor": minor}
    return " ".join(["-s -w", *[f"-X {name}={value}" for name, value in symbols.items()]])


def build(tool: Tool, versions: dict[str, str]) -> None:
    """Build one tool from its module into BIN. Raises CalledProcessError with the compiler's words printed."""
    print(f"building {tool.name} {versions[tool.module]} from its Go module", file=sys.stderr)
    flags = ["-trimpath", "-buildvcs=false", f"-ldflags={linker_flags(tool, versions)}"]
    subprocess.run(["go", "build", *flags, "-o", str(BIN / tool.name), tool.package], cwd=TOOLS, check=True)


def ensure(tool: Tool, versions: dict[str, str]) -> None:
    """Have the tool in BIN in its pinned version."""
    version = versions[tool.module]
    target = BIN / tool.name
    if target.exists() and has_version(tool, str(target), version):
        return
    target.unlink(missing_ok=True)
    found = on_path(tool, version)
    if found:
        target.symlink_to(found)
        return
    build(tool, versions)


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    wanted = arguments[0]
    if not gobuild.has_go("the pinned chart tools"):
        return 2
    BIN.mkdir(parents=True, exist_ok=True)
    versions = pinned()
    for tool in ALL if wanted == "all" else [each for each in ALL if each.name == wanted]:
        ensure(tool, versions)
    (BIN / f".{wanted}").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
