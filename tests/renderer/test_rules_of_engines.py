from typing import Any

import pytest

from dpd.problems import warning
from renderer.changes import COLOCATED, Said, args, env


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("PYTHONHASHSEED", "random", 'PYTHONHASHSEED is "random"'),
        ("LMCACHE_SAVE_DECODE_CACHE", "true", "decoders would cache again"),
        ("LMCACHE_PRE_CACHING_HASH_ALGORITHM", "sha256_cbor", '"sha256_cbor" hashes cannot be matched'),
        ("PD_BUFFER_SIZE", "21474836481", "the PD buffer takes 20 GiB of each GPU"),
        ("LMCACHE_PD_BUFFER_SIZE", "32212254720", "the PD buffer takes 30 GiB of each GPU"),
    ],
)
def test_an_unwise_variable_is_a_warning_only_under_pd_spec(name: str, value: str, fact: str, said: Said) -> None:
    variables = [{"name": "PYTHONHASHSEED", "value": "0"}, {"name": name, "value": value}]
    if name == "PYTHONHASHSEED":
        del variables[0]
    (found,) = said({"spec.worker.environmentVariables": variables})
    assert found.startswith("warning: spec.worker.environmentVariables")
    assert fact in found
    assert said(COLOCATED | {"spec.worker.environmentVariables": variables}) == []


def test_the_default_buffer_is_held_against_the_default_utilization(said: Said) -> None:
    only_ranks = {"spec.worker.args": ["--tensor-parallel-size", "8"]}
    assert said(only_ranks) == []
    (both,) = said({"spec.worker.args": ["-tp", "8", "--gpu-memory-utilization", "0.92"]})
    assert both == (
        "warning: spec.worker.environmentVariables: the PD buffer takes 8 GiB of each GPU, "
        "--gpu-memory-utilization 0.92 leaves 6.4 GiB on prefill and decode pods; "
        "lower --gpu-memory-utilization, or PD_BUFFER_SIZE"
    )
    (decode,) = said({"spec.pdSpec.decodingSpec.args": ["--gpu-memory-utilization=0.92"]})
    assert "on a decode pod" in decode


def test_a_buffer_that_cannot_be_told_is_not_guessed_at(said: Said) -> None:
    variable = {"name": "PD_BUFFER_SIZE", "valueFrom": {"configMapKeyRef": {"name": "sizes", "key": "pd"}}}
    variables = [{"name": "PYTHONHASHSEED", "value": "0"}, variable]
    changes = {"spec.worker.environmentVariables": variables, "spec.worker.args": args("--gpu-memory-utilization=0.99")}
    assert said(changes) == []


def test_two_sizes_that_contradict_are_told(said: Said) -> None:
    variables = env(("PD_BUFFER_SIZE", "8589934592"), ("LMCACHE_PD_BUFFER_SIZE", "4294967296"))
    (found,) = said({"spec.worker.environmentVariables": variables})
    assert 'LMCACHE_PD_BUFFER_SIZE, which is "4294967296", wins over PD_BUFFER_SIZE, which is "8589934592"' in found


def test_the_charts_own_mapping_of_the_size_is_no_contradiction(said: Said) -> None:
    variables = env(("PD_BUFFER_SIZE", "8589934592"), ("LMCACHE_PD_BUFFER_SIZE", "$(PD_BUFFER_SIZE)"))
    assert said({"spec.worker.environmentVariables": variables}) == []


@pytest.mark.parametrize(
    ("probe", "bad"),
    [
        ({"httpGet": {"path": "/v1/completions", "port": 8000}}, True),
        ({"httpGet": {"path": "/invocations", "port": 8000}}, True),
        ({"exec": {"command": ["sh", "-c", "curl localhost:8000/v1/chat/completions"]}}, True),
        ({"httpGet": {"path": "/health", "port": 8000}}, False),
        ({"exec": {"command": ["true"]}}, False),
        ({"tcpSocket": {"port": 8000}}, False),
    ],
)
def test_a_probe_may_not_generate_on_a_sender(probe: dict[str, Any], bad: bool, said: Said) -> None:
    changes = {"spec.worker.probes": {"livenessProbe": probe}}
    assert bool(said(changes)) is bad
    assert said(COLOCATED | changes) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Mixtral-8x7B-Instruct", "a mixture-of-experts model"),
        ("Qwen3-235B-A22B", "a mixture-of-experts model"),
        ("DeepSeek-R1", "a mixture-of-experts model"),
        ("Llama-4-Scout-17B-16E", "a mixture-of-experts model"),
        ("gpt-oss-120b", "a mixture-of-experts model"),
        ("Llama-3.1-8B-Instruct", "a model of 8 billion parameters"),
        ("Qwen2.5-1.5B", "a model of 1.5 billion parameters"),
        ("gemma-3-27b-it", "a model of 27 billion parameters"),
    ],
)
def test_a_model_that_seldom_gains_is_told_by_its_name(name: str, why: str, said: Said) -> None:
    expected = warning(
        ("spec", "modelName"),
        f'"{name}" looks like {why}, which seldom gains from pdSpec',
        "measure it against a colocated endpoint, without pdSpec",
    )
    assert said({"spec.modelName": name.replace(".", "-")}) != []
    assert said({"spec.modelSourceConfig.modelLocation": name}) == [
        "warning: " + expected.text.replace("spec.modelName", "spec.modelSourceConfig.modelLocation")
    ]
    assert said(COLOCATED | {"spec.modelSourceConfig.modelLocation": name}) == []


@pytest.mark.parametrize(
    "name",
    [
        "Llama-3.3-70B-Instruct",
        "DeepSeek-R1-Distill-Llama-70B",
        "Qwen2.5-72B",
        "Llama-3.1-405B",
        "my-model",
        "falcon-180B",
    ],
)
def test_a_large_dense_or_unknown_model_is_silent(name: str, said: Said) -> None:
    assert said({"spec.modelSourceConfig.modelLocation": name}) == []
