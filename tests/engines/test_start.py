import pytest

from engines.harness.endpoint import Endpoint

TROUBLE = ("degraded mode", "Unknown configuration", "unknown key", "Traceback (most recent call last)")


@pytest.mark.parametrize(
    ("role", "pd_role", "kv_role"), [("prefill", "sender", "producer"), ("decode", "receiver", "consumer")]
)
def test_each_role_is_what_its_engine_says_it_is(
    disaggregated: Endpoint, role: str, pd_role: str, kv_role: str
) -> None:
    log = disaggregated.log(role)
    assert f"'pd_role': '{pd_role}'" in log
    assert f"kv_role='kv_{kv_role}'" in log
    assert "Created backend: PDBackend" in log


@pytest.mark.parametrize("role", ["prefill", "decode"])
def test_an_engine_takes_every_setting_that_the_chart_rendered(disaggregated: Endpoint, role: str) -> None:
    log = disaggregated.log(role)
    assert not [each for each in TROUBLE if each in log]
    for rendered in ("'chunk_size': 256", "'pre_caching_hash_algorithm': 'builtin'", "'transfer_channel': 'nixl'"):
        assert rendered in log
    assert "'pd_buffer_size': 67108864" in log
    assert "save_unfull_chunk=True" in log


def test_a_decoder_computes_again_what_it_cannot_load(disaggregated: Endpoint) -> None:
    assert "kv_load_failure_policy='recompute'" in disaggregated.log("decode")
    assert "'enable_prefix_caching': False" in disaggregated.log("decode")


def test_a_colocated_endpoint_of_the_same_manifest_runs_without_a_connector(reference: Endpoint) -> None:
    assert "kv_connector" not in reference.log("worker")
