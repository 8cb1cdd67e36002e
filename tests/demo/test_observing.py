import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import prometheus
from observe.rules import EIGHT
from support.paths import CASES, EXAMPLES, ROOT, TOOLS
from support.programs import found

pytestmark = pytest.mark.slow


def observed(manifest: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dpd_local.demo", str(manifest), "--observe", found(prometheus.find).server]
    path = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, timeout=110, check=False)


def test_prometheus_scrapes_the_demo_and_the_eight_metrics_are_printed() -> None:
    done = observed(EXAMPLES / "llama-3.3-70b-dpd.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"^  (\S.*?) {2,}dpd:\w+ +(.+)$", done.stdout, re.MULTILINE))
    assert list(rows) == EIGHT
    assert [title for title, value in rows.items() if not re.search(r"\d", value)] == []
    assert re.search(r"direct .* p99.*disaggregated .* p99", rows["E2E TTFT"])
    asked = re.search(r"after (\d+) more requests", done.stdout)
    counted = re.fullmatch(r"direct (\d+), disaggregated (\d+)", rows["DPD Routing Counts"])
    assert asked
    assert counted
    assert sum(map(int, counted.groups())) == int(asked.group(1)) + 2
    address = re.search(r"It answers at (\S+);", done.stdout)
    assert address
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(address.group(1), timeout=5)


def test_an_endpoint_whose_metrics_are_off_is_not_observed() -> None:
    done = observed(CASES / "accept" / "metrics-off" / "endpoint.yaml")
    assert done.returncode == 1
    assert "no otel-collector; set metrics.enabled to true in the manifest\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "started" not in done.stdout
