import os
import subprocess
from pathlib import Path

import pytest

from cluster.kubectl import Kubectl, environment
from cluster.page import Step, steps
from cluster.provision import BOX
from support.paths import ROOT, TOOLS

PAGE = ROOT / "docs/quickstart.md"
_MARK = "--- end of step {} ---"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """A PATH on which kubectl and helm are those of this repository."""
    (tmp_path / "kubectl").symlink_to(BOX.resolve())
    (tmp_path / "helm").symlink_to((TOOLS / "helm").resolve())
    return f"{tmp_path}:{os.environ['PATH']}"


def script(found: list[Step]) -> str:
    """One shell for the whole page, so that a variable set in one step is there in the next."""
    parts = [f"{step.commands}\necho '{_MARK.format(index)}'\n" for index, step in enumerate(found)]
    return "set -euo pipefail\n" + "".join(parts)


def test_every_command_of_the_page_prints_what_the_page_says(live_cluster: Kubectl, programs: str) -> None:
    found = steps(PAGE)
    variables = {**environment(), "PATH": programs, "KUBECONFIG": str(live_cluster.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", script(found)], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    said = done.stdout
    for index, step in enumerate(found):
        printed, _, said = said.partition(f"{_MARK.format(index)}\n")
        assert not step.differs(printed), f"{step.commands}\n{step.differs(printed)}\n{done.stderr}"
    assert done.returncode == 0, done.stderr
