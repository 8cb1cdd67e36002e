"""Values by hand meet the checks that a manifest meets: what Kubernetes would refuse later is refused now."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import RefusedError, manifests, of_kind, template
from support.paths import CHART

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"
VERIFY = CHART / "files" / "worker" / "verify.py"


def over(folder: Path, values: dict[str, Any]) -> str:
    file = folder / "over.yaml"
    file.write_text(yaml.safe_dump(values))
    return f"--values={file}"


def test_all_that_kubernetes_would_refuse_is_told_at_once(tmp_path: Path) -> None:
    container = {"name": "prepare", "image": "busybox:1.37.0", "env": [{"name": "=", "value": ""}]}
    names = [container, container | {"env": []}, container | {"name": "prefill-dpd-test", "env": []}]
    values = {
        "kubernetes": {"initContainers": names},
        "modelSourceConfig": {"modelLocation": "a/../b", "s3Storage": {"bucketName": "s3://weights"}},
        "worker": {
            "image": "a b",
            "modelVolumeMount": {"mountPath": "/dev"},
            "environmentVariables": [{"name": "PYTHONHASHSEED", "value": "0"}, {"name": "A=B", "value": "1"}],
        },
    }
    with pytest.raises(RefusedError) as refusal:
        template("helm", PAGE, over(tmp_path, values))
    told = [line.split("; ")[0] for line in str(refusal.value).splitlines()]
    for line in [
        'worker.image: "a b" is no name of an image, for it is empty or has white space in it',
        'worker.environmentVariables[1].name: "A=B" cannot name a variable, for Kubernetes takes printable ASCII '
        "characters without =",
        'worker.modelVolumeMount.mountPath: "/dev" is in the way of /dev/shm, which the chart mounts there',
        'modelSourceConfig.modelLocation: "a/../b" has .. in it, and Kubernetes mounts no such path',
        'modelSourceConfig.s3Storage.bucketName: "s3://weights" is no name of an S3 bucket',
        'kubernetes.initContainers[0].env[0].name: "=" cannot name a variable, for Kubernetes takes printable ASCII '
        "characters without =",
        "kubernetes.initContainers[1].name: prepare is given twice, first in [0]",
        "kubernetes.initContainers[2].name: prefill-dpd-test is the chart's own",
    ]:
        assert line in told


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("models", "is relative"),
        ("/a:b", "a colon"),
        ("/a/../b", "has .. in it"),
        ("//", "root"),
        ("/tmp/", "of /tmp,"),
    ],
)
def test_a_mount_path_that_is_in_the_way_is_refused(path: str, fact: str) -> None:
    with pytest.raises(RefusedError, match=rf"worker\.modelVolumeMount\.mountPath: .*{re.escape(fact)}"):
        template("helm", PAGE, "--set", f"worker.modelVolumeMount.mountPath={path}")


def verifiers(folder: Path, variables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    values = {"worker": {"environmentVariables": variables}}
    found = of_kind(manifests(template("helm", PAGE, over(folder, values))), "Deployment")
    pods = [each["spec"]["template"]["spec"] for each in found]
    return [each for pod in pods for each in pod.get("initContainers", []) if each["name"] == "verify-worker"]


def test_the_check_before_an_engine_gets_what_it_reads_and_no_secret(tmp_path: Path) -> None:
    secret = {"secretKeyRef": {"name": "hub", "key": "token"}}
    variables: list[dict[str, Any]] = [
        {"name": "HF_TOKEN", "valueFrom": secret},
        {"name": "BACKEND", "value": "LIBFABRIC"},
        {"name": "LMCACHE_NIXL_BACKENDS", "value": "$(BACKEND)"},
        {"name": "PATH", "value": "/venv/bin:/usr/bin"},
    ]
    both = verifiers(tmp_path, variables)
    assert len(both) == 2
    for each in both:
        assert [variable["name"] for variable in each["env"]] == [
            "POD_IP",
            "BACKEND",
            "LMCACHE_NIXL_BACKENDS",
            "PATH",
            "PD_BUFFER_SIZE",
            "LMCACHE_CONFIG_FILE",
            "LMCACHE_PD_BUFFER_SIZE",
            "LMCACHE_PD_PEER_HOST",
            "FI_PROVIDER",
            "PYTHONPATH",
        ]


def test_the_check_before_an_engine_gets_every_variable_its_program_reads() -> None:
    program = VERIFY.read_text(encoding="utf-8")
    before = program[program.index("def transfer_faults") : program.index("def number")]
    (lists,) = re.findall(r'^PORT_LISTS = \("(\w+)", "(\w+)"\)', program, re.MULTILINE)
    settings = {f"LMCACHE_{each.upper()}" for each in {*re.findall(r'settings\.get\("(\w+)"\)', before), *lists}}
    read = settings | set(re.findall(r'environment\.get\("(\w+)"\)', program))
    template_text = (CHART / "templates" / "startup" / "_verify.tpl").read_text(encoding="utf-8")
    (line,) = re.findall(r"^(LMCACHE_CONFIG_FILE .*)$", template_text, re.MULTILINE)
    assert len(read) >= 8
    assert read <= set(line.split())
