"""What may be among the modules that the router's image has compiled: nothing that would be something else there."""

import ast
import tomllib
from pathlib import Path

import pytest

from support.paths import ROOT

ROUTER = ROOT / "images" / "router"
SOURCES = ROUTER / "src" / "dpd_router"
HOOK = tomllib.loads((ROUTER / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"][
    "mypyc"
]
COMPILED = [ROUTER / each for each in HOOK["include"]]
TREES = {path: ast.parse(path.read_text()) for path in SOURCES.rglob("*.py")}
WAITING = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)


def name(path: Path) -> str:
    return str(path.relative_to(SOURCES))


def bases(tree: ast.Module) -> dict[str, set[str]]:
    """The classes of a module with the names of their bases, without what stands in brackets."""
    plain = (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef))
    return {each.name: {ast.unparse(base).split("[")[0] for base in each.bases} for each in plain}


def test_each_is_there_and_named_once_in_order() -> None:
    assert HOOK["include"] == sorted(set(HOOK["include"]))
    assert [each for each in COMPILED if each not in TREES] == []


@pytest.mark.parametrize("path", COMPILED, ids=name)
def test_none_waits_for_an_exception_that_it_handles_would_be_everybodys_meanwhile(path: Path) -> None:
    assert [ast.unparse(each)[:60] for each in ast.walk(TREES[path]) if isinstance(each, WAITING)] == []


@pytest.mark.parametrize("path", COMPILED, ids=name)
def test_none_defines_a_structure_for_it_would_not_be_frozen(path: Path) -> None:
    assert [each for each, above in bases(TREES[path]).items() if "msgspec.Struct" in above] == []


def test_no_class_is_compiled_without_those_that_are_derived_from_it() -> None:
    compiled = {each for path in COMPILED for each in bases(TREES[path])}
    others = {path: bases(tree) for path, tree in TREES.items() if path not in COMPILED}
    derived = {
        (name(path), each) for path, found in others.items() for each, above in found.items() if above & compiled
    }
    interfaces = {each for found in map(bases, TREES.values()) for each, above in found.items() if "Protocol" in above}
    assert {(path, each) for path, each in derived if each not in interfaces} == set()
