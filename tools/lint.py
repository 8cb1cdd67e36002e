"""Every linter of the repository, one after another; all run, even when an early one complains.

Usage: lint.py. It needs `make tools`; the programs are looked up on PATH.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHARTS = ("charts/dpd", "charts/dpd-operator")


def dockerfiles() -> list[str]:
    """Every Dockerfile of the image build contexts."""
    return sorted(str(each.relative_to(ROOT)) for each in ROOT.glob("images/*/Dockerfile*"))


def checks() -> Iterator[tuple[str, ...]]:
    """The commands, in the order of their cost."""
    yield ("ruff", "check", "--quiet", ".")
    yield ("ruff", "format", "--check", "--quiet", ".")
    yield ("mypy",)
    yield ("lint-imports", "--no-logo")
    yield ("yamllint", "--strict", ".")
    for chart in CHARTS:
        # ct knows those of the folder itself, and no other.
        for values in sorted(ROOT.glob(f"{chart}/ci/shapes/*-values.yaml")):
            yield ("helm", "lint", "--strict", "--quiet", chart, "--values", str(values))
    yield ("ct", "lint", "--config", "ct.yaml")
    if shutil.which("hadolint"):
        yield ("hadolint", *dockerfiles())


def main() -> int:
    """Run all checks from the root; returns 1 when any failed."""
    failed = []
    for command in checks():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        name = " ".join(command[:2])
        print(f"{'ok    ' if done.returncode == 0 else 'failed'} {name}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr, flush=True)
    if not shutil.which("hadolint"):
        print("absent hadolint: no build of it for this platform, the Dockerfiles were not linted")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
