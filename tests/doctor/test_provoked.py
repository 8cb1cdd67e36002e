"""Every fault that an endpoint of processes can have, provoked, and the doctor's word on it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from doctor.patient import LONG, Change, Patient, doctor, patient, send, until
from dpd import cli
from dpd_local.ports import free_ports
from support.paths import CASES, ROOT


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    with patient(tmp_path_factory.mktemp("demo")) as running:
        yield running


def named(patient: Patient, *flags: str) -> list[str]:
    """The names of the faults; the exit code must fit them."""
    code, found = doctor("--local", str(patient.folder), *flags)
    assert code == (1 if found["faults"] else 0)
    names: list[str] = found["faults"]
    return names


def test_a_healthy_endpoint_has_no_fault_and_answers_both_prompts(endpoint: Patient) -> None:
    endpoint.become()
    assert named(endpoint, "--probe") == []
    assert doctor("--local", str(endpoint.folder))[1]["unasked"] == []
    decided = [line for line in endpoint.log("router").splitlines() if "Conditional routing" in line]
    assert [line.rpartition("=")[2] for line in decided] == ["False", "True"]


@pytest.mark.parametrize("shape", ["nixl", "routing-colocated"])
def test_a_healthy_endpoint_of_another_shape_has_no_fault_either(tmp_path: Path, shape: str) -> None:
    with patient(tmp_path, manifest=CASES / "accept" / shape / "endpoint.yaml") as other:
        assert named(other, "--probe") == []


def test_without_being_asked_to_it_sends_no_prompt(endpoint: Patient) -> None:
    endpoint.become()
    assert named(endpoint) == []
    assert "POST" not in endpoint.log("router")


def test_an_engine_that_does_not_answer_yet_is_loading(endpoint: Patient) -> None:
    endpoint.become()
    endpoint.lose("prefill")
    assert named(endpoint) == ["loading"]


def test_another_hash_seed_is_named_and_explains_what_was_not_retrieved(endpoint: Patient) -> None:
    endpoint.become(prefill=Change({"PYTHONHASHSEED": "1"}))
    assert named(endpoint, "--probe") == ["hash-seed"]


def test_kv_that_is_not_moved_is_named_by_what_the_decoder_did_not_take_over(endpoint: Patient) -> None:
    endpoint.become(prefill=Change(settings={"pre_caching_hash_algorithm": "sha256_cbor"}))
    assert named(endpoint, "--probe") == ["kv-not-moved"]


def test_an_lmcache_that_gave_up_is_named(endpoint: Patient) -> None:
    endpoint.become(prefill=Change(settings={"transfer_channel": "none"}))
    assert named(endpoint) == ["lmcache-degraded"]


def test_a_prefiller_that_receives_is_named(endpoint: Patient) -> None:
    ranks = 8
    ports = {"pd_peer_init_port": free_ports(ranks), "pd_peer_alloc_port": free_ports(ranks)}
    endpoint.become(prefill=Change(settings={"pd_role": "receiver", **ports}))
    assert named(endpoint) == ["pd-role"]


def test_a_role_with_another_image_is_named(endpoint: Patient) -> None:
    endpoint.become()
    file = endpoint.folder / "manifests.yaml"
    documents = list(yaml.safe_load_all(file.read_text()))
    decoder = next(
        each
        for each in documents
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", endpoint.one("decode").name)
    )
    decoder["spec"]["template"]["spec"]["containers"][0]["image"] = "lmcache/vllm-openai:v0.4.5"
    file.write_text(yaml.safe_dump_all(documents))
    assert named(endpoint) == ["same-image"]


def test_metrics_of_lmcache_that_are_missing_are_named(endpoint: Patient) -> None:
    endpoint.become(prefill=Change({"PROMETHEUS_MULTIPROC_DIR": None}))
    assert named(endpoint) == ["no-metrics"]


def test_transfers_slower_than_efa_are_named(endpoint: Patient) -> None:
    endpoint.become(prefill=Change({"DPD_SIM_TIME_TRANSFER_BYTES_PER_SECOND": "5e8"}))
    assert endpoint.ask(f"Slowly. {LONG}") == 200
    assert named(endpoint) == ["transfer-slow"]


def test_a_long_prompt_under_a_high_threshold_is_named(endpoint: Patient) -> None:
    endpoint.become(router=Change(file="config.yaml", settings={"routing": {"threshold": 8192}}))
    assert endpoint.ask(LONG) == 200
    assert named(endpoint) == ["threshold-high"]


def test_long_prompts_that_never_fit_the_buffer_are_named(endpoint: Patient) -> None:
    endpoint.become(router=Change(file="config.yaml", settings={"transfer": {"pagesPerDecoder": 12}}))
    assert named(endpoint, "--probe") == ["fallback"]


def test_kvaware_that_hears_of_no_prefiller_is_named(endpoint: Patient) -> None:
    events = dict(zip(("port", "replayPort"), free_ports(2), strict=True))
    routing = {"strategy": "kvaware", "kvEvents": events}
    endpoint.become(router=Change(file="config.yaml", settings={"routing": routing}))
    assert named(endpoint, "--probe") == ["kvaware-miss"]


def test_a_buffer_without_room_is_named(endpoint: Patient) -> None:
    small = Change({"PD_BUFFER_SIZE": "536870912", "LMCACHE_PD_BUFFER_SIZE": "536870912"})
    endpoint.become(decode=small)
    held = next(text for path, text in endpoint.one("decode").files.items() if path.name == "lmcache.yaml")
    receiver = {f"receiver_{kind}_port": yaml.safe_load(held)[f"pd_peer_{kind}_port"] for kind in ("init", "alloc")}
    url = f"http://127.0.0.1:{endpoint.one('prefill').port}/v1/chat/completions"
    for number in range(3):  # nobody decodes what comes of these, so their pages stay
        spec = {"req_id": f"lost-{number}", "receiver_host": "127.0.0.1", **receiver}
        body = {
            "model": "/opt/ml/model",
            "messages": [{"role": "user", "content": f"{number} {LONG}"}],
            "max_tokens": 1,
            "kv_transfer_params": {"disagg_spec": spec},
        }
        with contextlib.suppress(TimeoutError):
            send(url, body, seconds=5)
    until(lambda: "Failed to allocate memory object" in endpoint.log("decode"))
    assert named(endpoint) == ["buffer-full"]


def test_a_dead_engine_is_named(endpoint: Patient) -> None:
    endpoint.become()
    endpoint.fail("decode")
    until(lambda: "fatal error" in endpoint.log("decode"))
    assert named(endpoint) == ["engine-dead"]


def test_prefillers_with_uneven_loads_are_named(tmp_path: Path) -> None:
    with patient(tmp_path, {"prefill": 2}) as two:
        two.become(router=Change(file="config.yaml", settings={"routing": {"threshold": 1, "strategy": "session"}}))
        assert named(two) == []
        for _ in range(8):
            assert two.ask("What is it?", **{"X-Session-Id": "always-the-same"}) == 200
        assert named(two) == ["uneven-prefillers"]


def test_the_commands_of_the_documentation_work(endpoint: Patient) -> None:
    endpoint.become()
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## dpd doctor\n")[2].partition("\n## ")[0]
    commands = [
        line.partition("#")[0].split() for line in section.splitlines() if line.startswith("dpd doctor --local")
    ]
    assert len(commands) == 3
    for command in commands:
        assert cli.main([str(endpoint.folder) if each == "FOLDER" else each for each in command[1:]]) == 0


def test_it_waits_until_nothing_is_wrong_and_says_what_it_waits_for(endpoint: Patient) -> None:
    endpoint.become()
    endpoint.lose("prefill")
    command = [sys.executable, "-m", "dpd", "doctor", "--local", str(endpoint.folder), "--wait", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        name = endpoint.one("prefill").name
        said = f"waiting, 60 s at most: 1 fault: loading ({name}: no answer to GET /health)\n"
        assert waiting.stderr.readline() == said
        endpoint.become()
        waiting.communicate()
    assert waiting.returncode == 0
