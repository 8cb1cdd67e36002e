import subprocess

import pytest

from cluster.kubectl import Kubectl, environment
from cluster.page import Step, steps
from support.paths import ROOT

PAGE = ROOT / "docs/quickstart.md"
_MARK = "--- end of step {} ---"

pytestmark = pytest.mark.timeout(1800)


def script(found: list[Step]) -> str:
    """One shell for the whole page, so that a variable set in one step is there in the next."""
    parts = [f"{step.commands}\necho '{_MARK.format(index)}'\n" for index, step in enumerate(found)]
    return "set -euo pipefail\n" + "".join(parts)


def test_every_command_of_the_page_prints_what_the_page_says(live_cluster: Kubectl, path: str) -> None:
    found = steps(PAGE)
    variables = {**environment(), "PATH": path, "KUBECONFIG": str(live_cluster.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", script(found)], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    said = done.stdout
    for index, step in enumerate(found):
        printed, _, said = said.partition(f"{_MARK.format(index)}\n")
        assert not step.differs(printed), f"{step.commands}\n{step.differs(printed)}\n{done.stderr}"
    assert done.returncode == 0, done.stderr
