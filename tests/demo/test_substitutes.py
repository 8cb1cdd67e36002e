from pathlib import Path

from dpd_local.substitutes import Substitutes, config_file, connector, store

FOLDER = Path("/somewhere")


def test_an_engine_without_a_store_has_nothing_to_say() -> None:
    assert store({"local_cpu": True}, {}) == ()


def test_a_store_that_is_not_here_is_said_to_be_replaced_and_its_password_is_not_shown() -> None:
    (note,) = store({}, {"LMCACHE_REMOTE_URL": "redis://user:secret@cache:6379/1"})
    assert note.startswith("a store at redis://cache:6379/1 is not here: replaced by none, as when it is out of reach")


def test_the_nodes_daemon_is_called_what_it_is() -> None:
    (note,) = store({"remote_url": "sagemaker-hyperpod://$NODE_IP:9200"}, {})
    assert note.startswith("the daemon of managed tiered storage at sagemaker-hyperpod://$NODE_IP:9200 is not here")


def test_a_file_beside_the_model_is_replaced_by_an_empty_one() -> None:
    found = config_file({"LMCACHE_CONFIG_FILE": "/opt/ml/model/own.yaml"}, ("/etc/lmcache",), FOLDER)
    (path,) = found.files
    assert found.files[path] == "{}\n"
    assert found.variables == {"LMCACHE_CONFIG_FILE": str(path)}
    assert found.notes[0].startswith("/opt/ml/model/own.yaml is not here")


def test_a_file_that_is_mounted_stays() -> None:
    variables = {"LMCACHE_CONFIG_FILE": "/etc/lmcache/lmcache.yaml"}
    assert config_file(variables, ("/etc/lmcache",), FOLDER) == Substitutes()
    assert config_file({}, (), FOLDER) == Substitutes()


def test_the_router_that_a_connector_is_told_of_is_the_one_here() -> None:
    config = '{"kv_role": "kv_producer", "kv_connector_extra_config": {"lmcache.pd_proxy_host": "far", "a": 1}}'
    (_, moved) = connector(["--kv-transfer-config", config], 7501)
    assert '"lmcache.pd_proxy_host": "127.0.0.1", "a": 1, "lmcache.pd_proxy_port": 7501' in moved
    assert connector(["--port", "8000"], 7501) == ["--port", "8000"]
