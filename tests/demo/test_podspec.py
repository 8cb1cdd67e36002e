from pathlib import Path

import pytest
import yaml

from dpd_local import podspec
from dpd_local.manifests import Manifests, worker_container


def deployment(container: dict[str, object], volumes: list[dict[str, object]] | None = None) -> dict[str, object]:
    spec = {"containers": [{"name": "engine", **container}], "volumes": volumes or []}
    return {
        "kind": "Deployment",
        "metadata": {"name": "decode-x", "namespace": "ns"},
        "spec": {"template": {"metadata": {"labels": {}}, "spec": spec}},
    }


CONFIG_MAP = {"kind": "ConfigMap", "metadata": {"name": "cache"}, "data": {"lmcache.yaml": "chunk_size: 256\n"}}


def rendered(*objects: object) -> Manifests:
    return Manifests(yaml.safe_dump_all(objects))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(POD_IP):7300", "10.0.0.1:7300"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(POD_IP)", "$(POD_IP)"),
        ("$POD_IP", "$POD_IP"),
        ("a$", "a$"),
    ],
)
def test_variables_expand_as_a_kubelet_expands_them(text: str, expected: str) -> None:
    assert podspec.expand(text, {"POD_IP": "10.0.0.1"}) == expected


def test_a_variable_sees_only_those_before_it() -> None:
    env = [{"name": "A", "value": "$(B)"}, {"name": "B", "value": "1"}, {"name": "C", "value": "$(B)"}]
    subject = deployment({"env": env})
    found = podspec.environment(rendered(subject), subject, worker_container(subject), {})
    assert found == {"A": "$(B)", "B": "1", "C": "1"}


def test_the_downward_api_names_loopback_and_the_pod() -> None:
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]
    subject = deployment({"env": env})
    found = podspec.environment(rendered(subject), subject, worker_container(subject), {})
    assert found == {"IP": "127.0.0.1", "NS": "ns"}


def test_a_secret_comes_from_the_callers_environment_or_not_at_all() -> None:
    env = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}]
    subject = deployment({"env": env})
    container = worker_container(subject)
    assert podspec.environment(rendered(subject), subject, container, {}) == {}
    assert podspec.environment(rendered(subject), subject, container, {"HF_TOKEN": "t"}) == {"HF_TOKEN": "t"}


def test_config_maps_and_empty_folders_are_mapped_and_a_model_volume_is_not() -> None:
    volumes: list[dict[str, object]] = [
        {"name": "cache", "configMap": {"name": "cache"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "model", "persistentVolumeClaim": {"claimName": "model"}},
    ]
    paths = {"cache": "/etc/lmcache", "tmp": "/tmp", "model": "/opt/ml/model"}
    subject = deployment({"volumeMounts": [{"name": n, "mountPath": p} for n, p in paths.items()]}, volumes)
    found = podspec.mounts(rendered(subject, CONFIG_MAP), subject, worker_container(subject), Path("/here"))
    assert found.files == {Path("/here/etc-lmcache/lmcache.yaml"): "chunk_size: 256\n"}
    assert found.local("/etc/lmcache/lmcache.yaml") == "/here/etc-lmcache/lmcache.yaml"
    assert found.local("/tmp/hf_home") == "/here/tmp/hf_home"
    assert found.local("/opt/ml/model") == "/opt/ml/model"
    assert found.local("/tmpfoo") == "/tmpfoo"


def test_a_missing_config_map_is_named_with_those_that_are_there() -> None:
    with pytest.raises(KeyError, match=r"ConfigMap other: not among the rendered ones \(cache\)"):
        rendered(CONFIG_MAP).config_map("other")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--port", "8000"], ["--port", "1"]),
        (["--port=8000", "-x"], ["--port=1", "-x"]),
        (["-x"], ["-x", "--port", "1"]),
        (["--ports", "2"], ["--ports", "2", "--port", "1"]),
    ],
)
def test_a_flag_is_replaced_where_it_stands_or_appended(args: list[str], expected: list[str]) -> None:
    assert podspec.with_flag(args, "--port", "1") == expected


def test_the_last_value_of_a_flag_counts() -> None:
    assert podspec.flag(["--n", "1", "--n=2"], "--n") == "2"
    assert podspec.flag(["--n"], "--n") is None
