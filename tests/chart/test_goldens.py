"""Every accepted case renders to its golden, with either Helm."""

import os
import re
from pathlib import Path

import pytest

from chart.helm import manifests, shape_name, shapes, template
from support.paths import CASES, ROOT

ACCEPTED = sorted(CASES.glob("accept/*/values.yaml"))


def case_name(path: Path) -> str:
    return path.parent.name


# The programs of an init container are files of the repository as they are: a golden only names them.
PROGRAM = re.compile(r"^( +)(\w+\.py): \|\n(?:\1 .*\n|\s*\n)+", re.MULTILINE)


def tidy(text: str) -> str:
    text = PROGRAM.sub(r"\1\2: charts/dpd/files\n", text)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def test_there_are_cases_to_render() -> None:
    assert len(ACCEPTED) >= 10


@pytest.mark.parametrize("values", ACCEPTED, ids=case_name)
def test_an_accepted_case_renders_to_its_golden(values: Path) -> None:
    golden = values.with_name("manifests.yaml")
    rendered = tidy(template("helm", values))
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(rendered)
    hint = f"{golden.relative_to(ROOT)}: differs from what the chart renders; read the diff, then `make goldens`"
    assert golden.exists(), hint
    assert rendered == golden.read_text(), hint


@pytest.mark.parametrize("values", shapes(), ids=shape_name)
def test_helm_3_and_helm_4_render_the_same(values: Path) -> None:
    assert manifests(template("helm3", values)) == manifests(template("helm", values))
