"""Write every file generated from the schemas, or check that each one is what would be written.

build.py              write
build.py --check      exit 1, naming each stale or missing file
build.py --kube DIR   write Kubernetes' own kinds as standalone JSON schemas for kubeconform
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemagen.kubeconform import kubeconform_files
from schemagen.outputs import outputs, stale
from schemagen.sources import SourceError, load

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 done, 1 a source is wrong or a generated file is stale."""
    options = _parser().parse_args(arguments)
    try:
        if options.kube:
            _write(options.kube, kubeconform_files())
            return 0
        files = outputs(load(options.root / "schemas"))
    except SourceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    if not options.check:
        _write(options.root, files)
        return 0
    problems = stale(options.root, files)
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write the files generated from schemas/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale or missing")
    parser.add_argument(
        "--kube", type=Path, metavar="DIR", help="write kubeconform's schemas of Kubernetes' kinds there"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository, with schemas/ in it")
    return parser


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
