"""The charts as chart-testing installs them: each set of values of their ci folders in a namespace of its own."""

import re
import subprocess

import pytest

from cluster.kubectl import Kubectl, environment
from support.paths import ROOT, TOOLS

CI = sorted(str(each.relative_to(ROOT)) for each in ROOT.glob("charts/*/ci/*-values.yaml"))
_VALUES = re.compile(r'^Installing chart with values file "(\S+)"', re.MULTILINE)
_ENDED = re.compile(r"^TEST SUITE: +(\S+-test)$.*?^Phase: +(\S+)$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(900)


def test_chart_testing_installs_every_chart_with_every_set_of_its_values(live_cluster: Kubectl, path: str) -> None:
    variables = {**environment(), "PATH": path, "KUBECONFIG": str(live_cluster.kubeconfig)}
    command = [str(TOOLS / "ct"), "install", "--config", "ct.yaml"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert sorted(_VALUES.findall(done.stdout)) == CI
    asked = [phase for _, phase in _ENDED.findall(done.stdout)]
    assert asked == ["Succeeded"] * sum(each.startswith("charts/dpd/") for each in CI)
    left = live_cluster.must("get", "namespaces", "--output=name").split()
    assert not [each for each in left if each.startswith("namespace/dpd-")]
