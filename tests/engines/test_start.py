import pytest

from engines.harness.endpoint import Endpoint

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
