import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import EXAMPLES, ROOT, TOOLS

PAGE = EXAMPLES / "llama-3.3-70b-dpd.yaml"
PID = re.compile(r"pid (\d+)")
pytestmark = pytest.mark.slow


def command(manifest: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "dpd_local.demo", str(manifest), *flags]


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}


def demo(manifest: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(manifest), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/status")
    if state.parent.parent.exists():
        return state.exists() and "State:\tZ" not in state.read_text()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def page() -> subprocess.CompletedProcess[str]:
    return demo(PAGE)


def test_the_page_manifest_answers_both_prompts(page: subprocess.CompletedProcess[str]) -> None:
    assert page.returncode == 0, page.stdout + page.stderr
    assert "Both prompts went the way they should." in page.stdout


def test_the_long_prompt_is_decided_as_the_page_prints_it(page: subprocess.CompletedProcess[str]) -> None:
    line = "[INFO] Conditional routing: estimated_tokens=6750, threshold=4096, disaggregate=True"
    assert line in page.stdout
    assert re.search(r"Retrieved (6035) out of \1 required tokens", page.stdout)


def test_the_short_prompt_goes_straight_to_the_decoder(page: subprocess.CompletedProcess[str]) -> None:
    line = "[INFO] Conditional routing: estimated_tokens=13, threshold=4096, disaggregate=False"
    assert line in page.stdout


def test_each_engine_says_its_role(page: subprocess.CompletedProcess[str]) -> None:
    assert "it says 'pd_role': 'sender'" in page.stdout
    assert "it says 'pd_role': 'receiver'" in page.stdout


def test_no_process_is_left(page: subprocess.CompletedProcess[str]) -> None:
    pids = [int(each) for each in PID.findall(page.stdout)]
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_vllms_own_connector_carries_the_long_prompt_too() -> None:
    done = demo(ROOT / "tests/cases/accept/nixl/endpoint.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KV Transfer metrics: Num successful transfers=1" in done.stdout


@pytest.fixture
def kept() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(PAGE, "--keep"), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda how: how.name)
def test_it_keeps_running_when_asked_and_leaves_nothing_however_it_ends(
    kept: subprocess.Popen[str], how: signal.Signals
) -> None:
    assert kept.stdout is not None
    printed = []
    for line in kept.stdout:
        printed.append(line)
        if line.strip().startswith("curl "):
            break
    text = "".join(printed)
    call = printed[-1].strip()
    answered = subprocess.run(call, shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert '"choices"' in answered.stdout
    kept.send_signal(how)
    kept.wait(timeout=60)
    deadline = time.monotonic() + 30
    pids = [int(each) for each in PID.findall(text)]
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_a_bad_manifest_is_refused_before_anything_starts(tmp_path: Path) -> None:
    bad = tmp_path / "endpoint.yaml"
    bad.write_text(PAGE.read_text().replace("prefillSpec:", "prefilSpec:"))
    done = demo(bad)
    assert done.returncode == 1
    assert "spec.pdSpec.prefilSpec" in done.stderr
    assert "Traceback" not in done.stderr
    assert "started" not in done.stdout


def test_several_endpoints_are_refused_with_a_remedy(tmp_path: Path) -> None:
    both = tmp_path / "both.yaml"
    both.write_text(PAGE.read_text() + "\n---\n" + PAGE.read_text().replace("name: dpd-test", "name: other"))
    done = demo(both)
    assert done.returncode == 1
    assert f"dpd-demo: {both}: several endpoints; the demo runs one, give it a file with one\n" in done.stderr


def test_an_output_that_is_full_is_told_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(PAGE), cwd=ROOT, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "it needs a folder to write to and an output that takes its report" in done.stderr


def test_a_missing_manifest_is_bad_usage() -> None:
    done = demo(Path("no-such.yaml"))
    assert done.returncode == 2
    assert done.stderr == "no-such.yaml: no such file; give the path of an InferenceEndpointConfig\n"


@pytest.mark.parametrize("manifest", sorted(set(EXAMPLES.glob("*.yaml")) - {PAGE}), ids=lambda path: path.stem)
def test_every_other_example_runs_and_says_what_it_lacks_here(manifest: Path) -> None:
    done = demo(manifest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("replaced by none" in done.stdout) == ("enableL2Cache: true" in manifest.read_text())
