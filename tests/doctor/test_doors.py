"""Prompts of `dpd doctor --probe` to a router that lets in who has a key, and speaks TLS only."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from doctor.patient import Change, Patient, doctor, patient, send
from doctor.relay import relay
from dpd import cli
from dpd.doctor import cluster
from dpd_local.plan import Plan
from dpd_local.ports import free_ports
from dpd_local.processes import running

KEY = "an-api-key-of-the-tests"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """The page's endpoint, its router with keys, a certificate, and a port of its own for probes."""
    folder = tmp_path_factory.mktemp("demo")
    made = trustme.CA().issue_cert("dpd.example")
    (folder / "tls.crt").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    (folder / "keys").mkdir()
    (folder / "keys" / "sre").write_text(KEY)
    (own,) = free_ports(1)
    settings = {
        "metrics": {"host": "127.0.0.1", "port": own},
        "tls": {"mode": "strict", "certificateFile": str(folder / "tls.crt"), "keyFile": str(folder / "tls.key")},
        "auth": {"keysDirectory": str(folder / "keys")},
    }
    with patient(folder) as up:
        up.lose("router")
        changed = Change(file="config.yaml", settings=settings).of(up.one("router"))
        with running(Plan((replace(changed, port=own),)), folder):
            yield up


def test_a_router_behind_a_key_and_tls_is_healthy_and_answers_both_prompts(guarded: Patient, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    code, found = doctor("--local", str(guarded.folder), "--probe", "--key-file", str(tmp_path / "key"))
    assert (code, found["faults"], found["unasked"]) == (0, [], [])
    decided = [line for line in guarded.log("router").splitlines() if "Conditional routing" in line]
    assert [line.rpartition("=")[2] for line in decided] == ["False", "True"]
    assert send(f"{guarded.front}/v1/chat/completions", {}) == 400, "plain HTTP"


def test_without_a_key_nothing_is_sent_and_the_flag_is_named(
    guarded: Patient, capfd: pytest.CaptureFixture[str]
) -> None:
    assert doctor("--local", str(guarded.folder))[0] == 0
    assert cli.main(["doctor", "--local", str(guarded.folder), "--probe"]) == 2
    assert capfd.readouterr().err == "dpd: --probe: the router asks for an API key; give one with --key-file FILE\n"


def test_a_key_that_the_router_does_not_know_is_a_fault_with_the_routers_words(
    guarded: Patient, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("another")
    code, found = doctor("--local", str(guarded.folder), "--probe", "--key-file", str(tmp_path / "key"))
    assert code == 1
    assert found["faults"] == ["probe"]
    seen = next(each["seen"] for each in found["checks"] if each["name"] == "probe")
    assert "/v1/models answers 401" in seen
    assert "invalid_api_key" in seen


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--probe", "--key-file", "none"], "none: no such file or directory; give a file that holds nothing but"),
        (["--key-file", "none"], "--key-file: is for --probe, which alone asks what keys open; add --probe"),
    ],
)
def test_a_key_file_that_cannot_serve_is_bad_usage(
    flags: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--local", "nowhere", *flags]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(("mode", "scheme"), [("strict", "https:"), ("permissive", "")])
def test_in_a_cluster_the_key_goes_by_the_api_servers_proxy_and_tls_where_it_must(mode: str, scheme: str) -> None:
    labels = {"app": "x-default-router"}
    router = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "router-container"}]}}
    deployment = {"metadata": {"name": "x-default-router"}, "spec": {"template": router}}
    settings = json.dumps({"routing": {"threshold": 1}, "auth": {}, "tls": {"mode": mode}})
    objects = {
        "/namespaces/s/deployments": {"items": [deployment]},
        "/configmaps/x-default-router": {"data": {"config.yaml": settings}},
        "/v1/models": {"data": [{"id": "m"}]},
    }
    with relay(objects) as (api, asked):
        facts = cluster.gather(api, "x", "default", "s", KEY)
    root = f"/api/v1/namespaces/s/services/{scheme}x-default-routing-service:http/proxy/v1"
    assert asked == [(f"{root}/{path}", KEY) for path in ("models", "chat/completions", "chat/completions")]
    assert facts.probes == ()
