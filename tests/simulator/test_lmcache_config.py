from typing import Any

import pytest

from dpd_sim.lmcache_config import LMCacheConfig, Loaded, load
from simulator.engines import Ports, chat, pair, receiver_document, sender_document, sim, transfer_flag

PORTS = Ports(7500, [7300, 7301], [7400, 7401])


def read(
    document: dict[str, Any] | None = None,
    env: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
    ranks: int = 2,
) -> Loaded:
    return load(document, env or {}, extra or {}, ranks)


def test_the_defaults_are_those_of_lmcache() -> None:
    config = read().config
    assert (config.chunk_size, config.local_cpu, config.max_local_cpu_size) == (256, True, 5.0)
    assert (config.enable_pd, config.save_unfull_chunk, config.pre_caching_hash_algorithm) == (False, False, "builtin")


def test_the_environment_goes_over_the_file() -> None:
    got = read({"chunk_size": 128, "local_cpu": True}, {"LMCACHE_CHUNK_SIZE": "64", "LMCACHE_LOCAL_CPU": "False"})
    assert (got.config.chunk_size, got.config.local_cpu) == (64, False)


@pytest.mark.parametrize(("value", "ports"), [([1, 2], (1, 2)), (7, (7,)), ("1,2", (1, 2))])
def test_a_list_in_the_file_may_be_a_list_a_scalar_or_text(value: object, ports: tuple[int, ...]) -> None:
    assert read({"pd_peer_init_port": value}).config.pd_peer_init_port == ports


def test_a_list_in_the_environment_is_separated_by_commas() -> None:
    got = read(env={"LMCACHE_PD_PEER_ALLOC_PORT": "7400,7401", "LMCACHE_NIXL_BACKENDS": "LIBFABRIC"})
    assert got.config.pd_peer_alloc_port == (7400, 7401)
    assert got.config.nixl_backends == ("LIBFABRIC",)


def test_a_list_in_the_environment_is_not_json() -> None:
    got = read(env={"LMCACHE_PD_PEER_ALLOC_PORT": "[7400, 7401]"})
    assert got.problems == ("pd_peer_alloc_port: '[7400, 7401]' in LMCACHE_PD_PEER_ALLOC_PORT cannot be read",)


@pytest.mark.parametrize("key", ["enable_nixl", "enable_xpyd", "nixl_role", "nixl_proxy_host", "pd_bufer_size"])
def test_an_unknown_key_is_dropped_with_a_warning(key: str) -> None:
    got = read({key: "sender"})
    assert got.config == LMCacheConfig()
    assert got.warnings == (f"{key}: unknown configuration key in the configuration file, dropped",)


def test_the_buffers_size_is_read_under_lmcaches_own_name_only() -> None:
    assert read(env={"PD_BUFFER_SIZE": "8589934592"}).config.pd_buffer_size is None
    assert read(env={"LMCACHE_PD_BUFFER_SIZE": "8589934592"}).config.pd_buffer_size == 8589934592


def test_a_switch_that_is_neither_on_nor_off_is_off_and_said() -> None:
    got = read({"enable_pd": 7}, {"LMCACHE_LOCAL_CPU": "no"})
    assert (got.config.enable_pd, got.config.local_cpu, got.problems) == (False, False, ())
    assert got.warnings == ("enable_pd: 7 in the configuration file is neither true nor false, read as False",)


def test_a_file_is_corrected_and_the_environment_alone_is_not() -> None:
    document = sender_document(PORTS)
    del document["save_unfull_chunk"]
    assert read(document).config.save_unfull_chunk
    env = {f"LMCACHE_{key.upper()}": str(value) for key, value in document.items()}
    assert not read(env=env).config.save_unfull_chunk


def test_the_connectors_extra_settings_come_last_and_are_not_corrected() -> None:
    got = read(sender_document(PORTS), extra={"lmcache.save_unfull_chunk": False, "skip_last_n_tokens": 1})
    assert not got.config.save_unfull_chunk


@pytest.mark.parametrize("document", [sender_document(PORTS), receiver_document(PORTS)])
def test_a_right_configuration_has_no_problems(document: dict[str, Any]) -> None:
    got = read(document)
    assert (got.warnings, got.problems) == ((), ())


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"enable_pd": True, "pd_role": "both"}, "pd_role: 'both', must be sender or receiver"),
        (sender_document(PORTS, transfer_channel=None), "transfer_channel: None, must be nixl"),
        (sender_document(PORTS, enable_p2p=True), "enable_p2p: cannot be combined with enable_pd"),
        (sender_document(PORTS, pd_buffer_size=None), "pd_buffer_size: None, must be a number of bytes per rank"),
        (sender_document(PORTS, pd_buffer_size="8G"), "pd_buffer_size: '8G' in the configuration file cannot be read"),
        (sender_document(PORTS, pd_buffer_device="gpu"), "pd_buffer_device: 'gpu', must be cpu or cuda"),
        (sender_document(PORTS, pd_proxy_host=None), "pd_proxy_host: required for a sender"),
        (receiver_document(PORTS, pd_peer_host=None), "pd_peer_host: required for a receiver"),
        (receiver_document(PORTS, pd_peer_init_port=[7300]), "pd_peer_init_port: 1 ports for 2 ranks; rank 1 has none"),
        (
            receiver_document(PORTS, retrieve_locations=["LocalCPUBackend"]),
            "retrieve_locations: must be unset",
        ),
    ],
)
async def test_a_wrong_configuration_leaves_an_engine_that_looks_healthy_and_transfers_nothing(
    document: dict[str, Any], problem: str
) -> None:
    async with sim("-tp", "2", *transfer_flag("kv_both"), document=document) as engine:
        assert any(problem in line and "degraded mode (recompute)" in line for line in engine.lines)
        assert await engine.health() == 200
        assert await engine.text(chat(1))
        exposed = (await engine.http.get("/metrics")).text
        assert "\nlmcache:storage_events_done_count{" in exposed
        assert "\nlmcache:local_cache_usage{" not in exposed


async def test_a_buffer_size_with_a_unit_leaves_an_engine_degraded() -> None:
    document = receiver_document(PORTS)
    del document["pd_buffer_size"]
    words = ("-tp", "2", *transfer_flag("kv_consumer"))
    async with sim(*words, document=document, env={"LMCACHE_PD_BUFFER_SIZE": "8Gi"}) as engine:
        unread = "pd_buffer_size: '8Gi' in LMCACHE_PD_BUFFER_SIZE cannot be read"
        assert engine.grep("degraded mode (recompute): " + unread)
        assert await engine.health() == 200


async def test_a_taken_port_leaves_a_receiver_degraded() -> None:
    async with pair() as p:
        document = receiver_document(Ports(0, p.init, p.alloc))
        async with sim("-tp", "2", *transfer_flag("kv_consumer"), document=document) as second:
            assert second.grep("degraded mode (recompute): ZMQError: Address already in use")
            assert await second.health() == 200


async def test_a_service_name_is_no_address_to_bind() -> None:
    document = receiver_document(Ports.pick(1), pd_peer_host="decode.default.svc.cluster.local")
    async with sim(*transfer_flag("kv_consumer"), document=document) as engine:
        assert engine.grep("degraded mode (recompute): ZMQError")


async def test_a_degraded_sender_dies_of_the_first_transfer_but_not_of_a_plain_request() -> None:
    async with sim(*transfer_flag("kv_producer"), document=sender_document(PORTS, pd_proxy_port=None)) as engine:
        assert await engine.text(chat(1))
        asked = {
            "disagg_spec": {"req_id": "r", "receiver_host": "h", "receiver_init_port": [1], "receiver_alloc_port": [2]}
        }
        assert (await engine.post("/v1/chat/completions", chat(1, kv_transfer_params=asked))).status_code == 500
        assert await engine.health() == 503
        assert engine.grep("AssertionError")


async def test_an_unfinished_chunk_that_is_not_saved_is_never_told() -> None:
    env = {f"LMCACHE_{key.upper()}": _env(value) for key, value in sender_document(Ports.pick(1)).items()}
    env.pop("LMCACHE_SAVE_UNFULL_CHUNK")
    async with pair(ranks=1) as p:
        env["LMCACHE_PD_PROXY_PORT"] = str(p.pull.getsockopt_string(32).rsplit(":", 1)[1]).strip("\0")
        async with sim(*transfer_flag("kv_producer"), env=env) as sender:
            short = chat(10, kv_transfer_params={"disagg_spec": p.spec("short")}, max_tokens=1)
            await sender.answer(short)
            assert await p.silent(), "135 tokens fill no chunk"
            long = chat(30, kv_transfer_params={"disagg_spec": p.spec("long")}, max_tokens=1)
            await sender.answer(long)
            assert await p.notice() == "long"
            assert await p.receiver.used() == [1], "335 tokens: one chunk, the rest is left out"


def _env(value: object) -> str:
    return ",".join(map(str, value)) if type(value) is list else str(value)


@pytest.mark.parametrize("key", ["local_disk", "cache_policy", "min_retrieve_tokens", "use_layerwise", "app_id"])
def test_a_key_that_lmcache_knows_and_that_means_nothing_here_is_passed_over(key: str) -> None:
    assert read({key: "x"}) == Loaded(LMCacheConfig())


def test_keys_of_the_levels_behind_the_gpu_are_read_and_a_store_is_said_not_to_be_there() -> None:
    got = read({"remote_url": "redis://cache:6379", "remote_serde": "naive", "storage_plugins": ["own_names"]})
    assert (got.config.remote_url, got.config.storage_plugins) == ("redis://cache:6379", ("own_names",))
    assert got.warnings == ("remote_url: no store at redis://cache:6379 is simulated, nothing is kept there",)


def test_a_store_behind_a_sender_needs_host_memory() -> None:
    document = sender_document(PORTS, remote_url="redis://cache:6379")
    assert read(document).problems == ("remote_url: needs host memory to pass through, and local_cpu is off",)
    assert read({**document, "local_cpu": True}).problems == ()


def test_a_key_that_lmcache_cannot_read_from_the_environment_is_its_end() -> None:
    fact = "LMCACHE_STORE_LOCATION is set, and LMCache cannot read this one from the environment"
    assert read(env={"LMCACHE_STORE_LOCATION": "PDBackend"}).problems == (f"store_location: {fact}",)
