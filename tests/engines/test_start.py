import os
import subprocess
import sys
import urllib.request

import pytest

from dpd_local.plan import Process
from engines.harness.client import COMPLETIONS, ask
from engines.harness.endpoint import Endpoint
from engines.harness.evidence import retrieved
from engines.harness.prompts import Tokens
from engines.harness.stacks import Stacks
from support.paths import ROOT

PROGRAM = ROOT / "charts/dpd/files/worker/verify.py"

TROUBLE = ("degraded mode", "Unknown configuration", "unknown key", "Traceback (most recent call last)")
ROLES = {"prefill": ("sender", "producer"), "decode": ("receiver", "consumer")}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_what_its_engine_says_it_is(disaggregated: Endpoint, role: str) -> None:
    assert f"'pd_role': '{ROLES[role][0]}'" in disaggregated.log(role)


@pytest.mark.parametrize("role", ROLES)
def test_an_engine_takes_every_setting_that_the_chart_rendered(disaggregated: Endpoint, role: str) -> None:
    log = disaggregated.log(role)
    assert not [each for each in TROUBLE if each in log]
    rendered = ("'chunk_size': 256", "'pre_caching_hash_algorithm': 'builtin'", "'transfer_channel': 'nixl'")
    for each in (*rendered, "'nixl_backends': ['UCX']", "'pd_buffer_size': 67108864", "'save_unfull_chunk': True"):
        assert each in log


@pytest.mark.real
@pytest.mark.parametrize("role", ROLES)
def test_vllm_and_lmcache_take_the_connector_that_the_role_implies(disaggregated: Endpoint, role: str) -> None:
    log = disaggregated.log(role)
    assert f"kv_role='kv_{ROLES[role][1]}'" in log
    assert "Created backend: PDBackend" in log
    assert "PD mode enabled with save_unfull_chunk=True" in log


@pytest.mark.real
def test_a_decoder_computes_again_what_it_cannot_load_and_caches_no_prefix(disaggregated: Endpoint) -> None:
    log = disaggregated.log("decode")
    assert "kv_load_failure_policy='recompute'" in log
    assert "'enable_prefix_caching': False" in log


def test_a_colocated_endpoint_of_the_same_manifest_runs_without_a_connector(reference: Endpoint) -> None:
    assert "pd_role" not in reference.log("worker")


@pytest.mark.parametrize("role", ROLES)
def test_a_started_engine_passes_the_checks_that_its_pod_runs(disaggregated: Endpoint, role: str) -> None:
    process = disaggregated.one(role)
    for check in (["settings", "--fabric", "tcp"], ["ready", "--url", process.health]):
        assert verified(process, [*check, "--role", ROLES[role][0]]) == (0, "")


@pytest.mark.parametrize("role", ROLES)
def test_an_engine_still_takes_transfers_when_its_ports_were_asked_many_times(
    disaggregated: Endpoint, tokens: Tokens, role: str
) -> None:
    process = disaggregated.one(role)
    for _ in range(5):
        assert verified(process, ["ready", "--url", process.health, "--role", ROLES[role][0]]) == (0, "")
    mark = disaggregated.mark("decode")
    ask(disaggregated.url(), COMPLETIONS, {"prompt": tokens(2000)})
    assert retrieved(disaggregated.log("decode", mark)) == [(2000, 2000)]


@pytest.mark.real
@pytest.mark.parametrize("role", ROLES)
def test_an_engine_whose_cache_could_not_start_says_it_is_healthy_and_the_pods_check_says_it_is_not(
    stacks: Stacks, role: str
) -> None:
    with stacks.without_cache(role) as degraded:
        process = degraded.one(role)
        assert "degraded mode (recompute)" in degraded.log(role)
        with urllib.request.urlopen(process.health, timeout=10) as answer:
            assert answer.status == 200
        status, told = verified(process, ["ready", "--url", process.health, "--role", ROLES[role][0]])
    assert status == 1
    assert "the engine serves without LMCache" in told
    assert ("nothing listens on" in told) == (role == "decode")


def verified(process: Process, arguments: list[str]) -> tuple[int, str]:
    """What the pod's program says in the environment of the engine, by the machine's own Python with PyYAML."""
    command = [sys.executable, "-B", str(PROGRAM), *arguments]
    environment = {"PATH": os.environ["PATH"], **process.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr
