"""What `dpd doctor` says to somebody who gives it what it cannot use: path, fact and remedy, exit code 2."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.relay import relay
from dpd import cli
from dpd.doctor import asking

SERVER = {"server": "http://127.0.0.1:1"}
ANOTHER = "give a kubeconfig with --kubeconfig"


def kubeconfig(user: Any = None, name: str = "c", **cluster: Any) -> str:
    return yaml.safe_dump(
        {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {**SERVER, **cluster}}],
            "users": [{"name": name, "user": {"token": "t"} if user is None else user}],
        }
    )


def told(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """Run the command, which must fail, and return what it says."""
    assert cli.main(["doctor", *map(str, argv)]) == 2
    return capfd.readouterr().err


def test_a_kubeconfig_that_is_not_there_is_bad_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = told(capfd, "x", "--kubeconfig", tmp_path / "none")
    assert said == f"dpd: {tmp_path}/none: no such file or directory; {ANOTHER}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no kubeconfig; give one with --kubeconfig"),
        ("just text", "is no kubeconfig; give one with --kubeconfig"),
        ("[1, 2]", "is no kubeconfig; give one with --kubeconfig"),
        ("contexts: 1\ncurrent-context: a", "is no kubeconfig; give one with --kubeconfig"),
        ("a: [", f"is no YAML; {ANOTHER}"),
        ("\0", f"is no YAML; {ANOTHER}"),
        ("kind: Config", f"has no 'current-context'; {ANOTHER}, or a --context of it"),
        (kubeconfig(server="https://host:port"), 'server "https://host:port" is no URL; write it as in https://'),
        (kubeconfig(server="localhost:8080"), 'server "localhost:8080" is no URL'),
        (kubeconfig({"token": "a\nb"}), "login command fail: its token is none that can be sent; log in again"),
        (kubeconfig({"tokenFile": "gone"}), "/gone: no such file or directory; log in again"),
        (kubeconfig({"exec": {"command": "no-such-command"}}), "no-such-command: no such file or directory; log in"),
        (kubeconfig({"exec": {"command": "echo", "args": ["{}"]}}), '"echo" tells no token; log in again'),
        (kubeconfig({"exec": 3}), "the entry of its user is of a form that is not known; log in again"),
        (kubeconfig(**{"certificate-authority-data": "Zm9v"}), "does not contain a certificate"),
        (kubeconfig(), "/deployments: answers nothing: [Errno 111] Connection refused; see that it runs and can be"),
    ],
)
def test_a_kubeconfig_that_cannot_serve_is_told_of_with_its_name(
    tmp_path: Path, text: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(text)
    found = told(capfd, "x", "--kubeconfig", tmp_path / "file")
    assert said in found
    assert found.startswith(f"dpd: {tmp_path}/file: " if "answers nothing" not in said else "dpd: http://127.0.0.1:1/")
    assert len(found.splitlines()) == 1


def test_a_file_without_end_is_no_kubeconfig(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, "x", "--kubeconfig", "/dev/zero") == f"dpd: /dev/zero: is no YAML; {ANOTHER}\n"


def test_of_several_kubeconfigs_each_may_have_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").write_text(kubeconfig(name="one"))
    (tmp_path / "two").write_text(kubeconfig(name="two", server="http://127.0.0.1:2"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/gone:{tmp_path}/one:{tmp_path}/two")
    assert "http://127.0.0.1:1/apis" in told(capfd, "x")
    assert "http://127.0.0.1:2/apis" in told(capfd, "x", "--context", "two")
    assert f"{tmp_path}/one:{tmp_path}/two: has no 'contexts three'" in told(capfd, "x", "--context", "three")


@pytest.mark.parametrize("argv", [["a b"], ["../x"], ["x", "-n", "a/b"], ["x", "--router-namespace", ""]])
def test_what_can_name_nothing_in_a_cluster_is_asked_of_nobody(
    argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert "names nothing in a cluster; give a name and, with -n, a namespace" in told(capfd, *argv)


def test_one_of_a_name_and_a_folder_is_needed(capfd: pytest.CaptureFixture[str]) -> None:
    said = "dpd: doctor: give the NAME of an endpoint in a cluster, or --local FOLDER of a demo, one of both\n"
    assert told(capfd) == told(capfd, "x", "--local", "y") == said


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "soon"])
def test_a_time_to_wait_that_is_none_is_bad_usage(time: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["doctor", "x", f"--wait={time}"])
    assert f"argument --wait: {time} is no time; write a number of seconds, 0 or more" in capfd.readouterr().err


ENGINE = "spec: {template: {metadata: {}, spec: {containers: [{name: sidecar-reverse-proxy}]}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file or directory"),
        ("a: [", "is no YAML"),
        ("5", "is not what the demo writes"),
        ("- kind: Deployment", "is not what the demo writes"),
        ("kind: Service", "has no Deployment with an engine"),
        ("kind: Deployment", "has no 'spec', so it is not what the demo writes"),
        (f"kind: Deployment\n{ENGINE}", "has no 'labels', so it is not what the demo writes"),
    ],
)
def test_a_folder_of_no_demo_is_bad_usage(
    tmp_path: Path, text: str | None, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "manifests.yaml").write_text(text)
    found = told(capfd, "--local", tmp_path)
    assert found == f"dpd: {tmp_path}/manifests.yaml: {said}; give the folder that `make demo KEEP=1` prints\n"


@pytest.mark.parametrize("text", [b"\xff\x00", b"two\nlines"])
def test_a_key_file_without_a_key_is_bad_usage(tmp_path: Path, text: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_bytes(text)
    said = told(capfd, "--local", tmp_path, "--probe", "--key-file", tmp_path / "key")
    assert said == f"dpd: {tmp_path}/key: is no API key; give a file that holds nothing but an API key\n"


@pytest.mark.parametrize("text", ["<html>log in</html>", "[]", '{"data": []}', '{"data": [{"max_model_len": 3}]}'])
def test_an_answer_that_lists_no_model_is_a_fault_and_no_traceback(text: str) -> None:
    assert asking.probe(lambda *_: (200, text), 4096) == (f"GET /v1/models answers 200: {text}",)


def test_a_proxy_that_shows_a_page_in_the_api_servers_place_is_told_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with relay({"/deployments": "please log in"}) as (api, _):
        (tmp_path / "file").write_text(kubeconfig(server=api.server))
        said = told(capfd, "x", "--kubeconfig", tmp_path / "file")
    assert 'answers what no API server would: "please log in"; give the kubeconfig of a cluster with' in said


def test_a_cache_file_that_is_no_yaml_is_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    container = {"name": "decode-x"}
    labels = {"app": "x", "inference.sagemaker.aws.amazon.com/dpd-role": "decode"}
    spec = {"containers": [container], "volumes": [{"name": "c", "configMap": {"name": "own"}}]}
    pod = {"metadata": {"name": "decode-x-1", "namespace": "default", "labels": labels}, "spec": spec}
    objects = {
        "/namespaces/default/deployments": {"items": [deployment(labels, container)]},
        "/namespaces/default/pods?labelSelector=app%3Dx": {"items": [pod]},
        "/namespaces/default/configmaps": {"items": [{"metadata": {"name": "own"}, "data": {"lmcache.yaml": "a: ["}}]},
    }
    with relay(objects) as (api, _):
        (tmp_path / "file").write_text(kubeconfig(server=api.server))
        assert cli.main(["doctor", "x", "--kubeconfig", str(tmp_path / "file"), "-o", "json"]) == 1
    assert "loading" in json.loads(capfd.readouterr().out)["faults"]


def test_an_endpoint_that_is_still_to_be_made_is_waited_for(tmp_path: Path) -> None:
    objects: dict[str, Any] = {}
    with relay(objects) as (api, _):
        (tmp_path / "file").write_text(kubeconfig(server=api.server))
        command = [sys.executable, "-m", "dpd", "doctor", "x", "--kubeconfig", str(tmp_path / "file"), "--wait", "60"]
        with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as waiting:
            assert waiting.stderr is not None
            said = waiting.stderr.readline()
            assert said.startswith("waiting, 60 s at most: default: no Deployment of an endpoint x; ")
            objects["/namespaces/default/deployments"] = {
                "items": [deployment({"app": "x"}, {"name": "x"}, {"name": "otel-collector"})]
            }
            assert waiting.stderr.readline().endswith("1 fault: role-missing (no pod of role worker)\n")
            waiting.kill()


def deployment(labels: dict[str, str], *containers: dict[str, str]) -> dict[str, Any]:
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    return {"metadata": {"name": "x"}, "spec": {"template": template}}
