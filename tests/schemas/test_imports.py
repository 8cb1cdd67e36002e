"""What the generator may import: the standard library, PyYAML, Kubernetes' models, and its own modules."""

import ast
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

ALLOWED = {"yaml", "kubernetes.client.models", "schemagen"}
MODULES = sorted((ROOT / "schemas").rglob("*.py"))


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {each.name for each in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module)
            case _:
                pass
    return found


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_a_module_imports_only_what_the_generator_may(file: Path) -> None:
    foreign = {name for name in imported(file) if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if name not in ALLOWED and name.split(".")[0] != "schemagen"} == set()


def test_the_modules_are_found() -> None:
    assert {"build.py", "kube.py", "sources.py"} <= {file.name for file in MODULES}
