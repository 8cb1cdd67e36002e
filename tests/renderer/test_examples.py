import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.paths import CASES, CHART, EXAMPLES, TOOLS

MANIFESTS = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_an_example_is_valid_and_wise(path: Path, dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", path)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_readme_tells_of_an_example(path: Path) -> None:
    assert f"| `{path.name}` |" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_the_first_example_is_the_case_that_has_goldens() -> None:
    example, case = EXAMPLES / "llama-3.3-70b-dpd.yaml", CASES / "accept" / "dpd-page" / "endpoint.yaml"
    assert yaml.safe_load(example.read_bytes()) == yaml.safe_load(case.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_an_example_installs_without_an_edit(path: Path, dpd: Callable[..., Any], tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    assert dpd("render", path, "-o", values).code == 0
    command = [TOOLS / "helm", "template", "x", CHART, "--values", values]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
