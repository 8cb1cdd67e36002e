"""The habits that no linter holds: sizes, links, pins, and that the README's two commands are what CI runs."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 300
MAX_TEMPLATE_LINES = 150
SOURCES = sorted(
    path
    for pattern in (
        "renderer/src/**/*.py",
        "images/**/*.py",
        "tools/**/*.py",
        "schemas/**/*.py",
        "charts/*/files/**/*.py",
    )
    for path in ROOT.glob(pattern)
)
TEMPLATES = sorted(path for path in ROOT.glob("charts/*/templates/**/*") if path.is_file())
DOCKERFILES = sorted(ROOT.glob("images/*/Dockerfile*"))
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "charts/*/README.md", "images/*/README.md", "examples/*.md", "schemas/*.md")
    for path in ROOT.glob(pattern)
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_source_file_stays_small_and_so_do_its_functions(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions) and node.end_lineno and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_TEMPLATE_LINES


def test_help_lists_every_target_in_one_line() -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^\s+make ([a-z0-9-]+) +\S", printed, re.MULTILINE))
    assert listed == make_targets()
    assert len(printed.splitlines()) == len(listed)


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    assert re.findall(r"^(make \w+)", block.group(1), re.MULTILINE) == ["make demo", "make test"]
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yaml").read_text()


def test_ci_runs_only_targets_that_there_are_and_a_quick_benchmark_among_them() -> None:
    ran = set(re.findall(r"^make ([a-z0-9-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert ran <= make_targets()
    assert "bench-quick" in ran


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_an_image_is_built_in_stages_from_pinned_parts_and_runs_as_nobody_special(path: Path) -> None:
    lines = path.read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) >= 2
    assert not [line for line in stages if ":latest" in line]
    assert not [line for line in stages if ":" not in line and "${" not in line]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users, f"{name(path)}: no USER; add one with a numeric id above 0"
    assert int(users[-1].split(":")[0]) > 0


@pytest.mark.parametrize("image", ["router", "simulator"])
def test_an_images_lock_agrees_with_the_workspaces(image: str) -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9._-]+==[^ ]+)", path.read_text(), re.MULTILINE))

    assert pins(ROOT / "images" / image / "requirements.lock") <= pins(ROOT / "requirements.lock")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_documents_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", path.read_text())
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose)
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    titles = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", line) for line in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_documents_links_into_pages_lead_to_headings(path: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", path.read_text())
    targets = re.findall(r"\]\(([^)#:]*)#([^)]*)\)", prose)
    pages = [
        (path.parent / file if file else path, anchor) for file, anchor in targets if not file or file.endswith(".md")
    ]
    assert [anchor for page, anchor in pages if anchor not in anchors(page)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_names_only_targets_that_exist(path: Path) -> None:
    named = set(re.findall(r"`make ([a-z0-9-]+)", path.read_text())) | set(
        re.findall(r"^make ([a-z0-9-]+)", path.read_text(), re.MULTILINE)
    )
    assert named <= make_targets()
