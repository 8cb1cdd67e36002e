"""What an API server or a kubelet would refuse is refused before, and a secret in the open is told."""

from typing import Any

import pytest

from renderer.changes import Said, env

MOUNT = "spec.worker.modelVolumeMount"
BUCKET = "spec.modelSourceConfig.s3Storage"


def bucket(name: str, region: str = "us-west-2") -> dict[str, Any]:
    return {BUCKET: {"bucketName": name, "region": region}}


def volume(location: str) -> dict[str, Any]:
    return {
        "spec.modelSourceConfig": {"modelSourceType": "kubernetesVolume", "modelLocation": location},
        "spec.kubernetes": {"volumes": [{"name": "model-weights", "emptyDir": {}}]},
    }


@pytest.mark.parametrize(
    "path", ["/opt/ml/model", "/opt//ml/./model/", "/tmp/model", "/dev/shm/model", "/a..b", "/etcetera"]
)
def test_a_folder_beside_the_charts_takes_the_model(path: str, said: Said) -> None:
    assert said({MOUNT: {"name": "model-weights", "mountPath": path}}) == []


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("opt/ml/model", "is relative; start it with /"),
        ("/opt/ml:model", "has a colon in it, which Kubernetes does not allow there"),
        ("/tmp/../model", "has .. in it, and may come to lie anywhere"),
        ("/", "is the container's root"),
        ("//.//", "is the container's root"),
        ("/tmp", "is in the way of /tmp"),
        ("//dev//shm/", "is in the way of /dev/shm"),
        ("/dev", "is in the way of /dev/shm"),
        ("/run/engine-metrics", "is in the way of /run/engine-metrics"),
        ("/etc", "is in the way of /etc/dpd-worker"),
        ("/etc/lmcache/model", "is in the way of /etc/lmcache"),
    ],
)
def test_a_folder_that_hides_others_is_refused(path: str, fact: str, said: Said) -> None:
    (found,) = said({MOUNT: {"name": "model-weights", "mountPath": path}})
    assert found.startswith(f'{MOUNT}.mountPath: "{path}" {fact}')


def test_the_folder_a_copy_is_made_from_is_taken_only_while_it_is_made(said: Said) -> None:
    mount = {MOUNT: {"name": "model-weights", "mountPath": "/model-source/a"}}
    assert said(mount) == []
    assert "is in the way of /model-source" in said(mount | {"spec.modelSourceConfig.prefetchEnabled": True})[0]


@pytest.mark.parametrize("location", ["..", "a/../b", "/../a", "a/.."])
def test_a_location_that_leads_out_is_refused(location: str, said: Said) -> None:
    (found,) = said(volume(location))
    assert found.startswith(f'spec.modelSourceConfig.modelLocation: "{location}" has .. in it')


@pytest.mark.parametrize("location", ["a..b", "...", "/a/b/", "./a"])
def test_dots_that_are_a_name_are_none_of_our_business(location: str, said: Said) -> None:
    assert said(volume(location)) == []


@pytest.mark.parametrize(
    "name", ["abc", "a" * 63, "my.weights-2", "ap-0a1b2c-s3alias", "arn:aws:s3:us-west-2:123456789012:accesspoint/ap"]
)
def test_a_bucket_or_what_stands_for_one_is_silent(name: str, said: Said) -> None:
    assert said(bucket(name)) == []


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "Weights", "my_weights", "-ab", "ab.", "a..b", "10.0.0.1", "a b c"]
)
def test_what_s3_calls_no_bucket_is_refused(name: str, said: Said) -> None:
    remedy = "use 3 to 63 lower-case letters, digits, dots and dashes, a letter or digit at both ends"
    assert said(bucket(name)) == [f'{BUCKET}.bucketName: "{name}" is no name of an S3 bucket; {remedy}']


def test_the_oldest_buckets_have_names_no_new_one_gets(said: Said) -> None:
    assert said(bucket("My_Weights", "us-east-1")) == []
    assert len(said(bucket("my weights", "us-east-1"))) == 1


@pytest.mark.parametrize("image", [" vllm:1", "vllm:1 ", "vllm: 1", "vllm:1\n", "a\tb"])
def test_white_space_in_an_image_is_refused(image: str, said: Said) -> None:
    (found,) = said({"spec.worker.image": image})
    assert "has white space in it, and no node can pull it; take the white space out" in found


@pytest.mark.parametrize("image", ["", " "])
def test_a_worker_without_an_image_is_refused(image: str, said: Said) -> None:
    assert said({"spec.worker.image": image}) == [
        "spec.worker.image: empty, and a worker has an image; write the image with your engine"
    ]


@pytest.mark.parametrize("name", ["A=B", "A\nB", "Ä", "\x7f"])
def test_a_name_kubernetes_refuses_is_refused(name: str, said: Said) -> None:
    (found,) = said({"spec.worker.environmentVariables": env((name, "1"))})
    assert "cannot name a variable: Kubernetes takes printable ASCII characters without =; rename it" in found


@pytest.mark.parametrize("name", ["a.b-c", "1st", "with space", "<>", "~"])
def test_a_name_kubernetes_takes_is_silent(name: str, said: Said) -> None:
    assert said({"spec.worker.environmentVariables": env((name, "1"))}) == []


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "DB_PASSWORD", "client_secret", "TOKEN"]
)
def test_a_secret_in_the_open_is_told(name: str, said: Said) -> None:
    (found,) = said({"spec.worker.environmentVariables": env((name, "s3cret"))})
    assert found == (
        f'warning: spec.worker.environmentVariables[1].value: "{name}" looks like a secret, and would stand as plain '
        "text in the values and in every pod; put it into a Secret, and take it from there with valueFrom.secretKeyRef"
    )
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ("HF_TOKEN", ""),
        ("HF_TOKEN", "$(TOKEN_OF_A_SECRET)"),
        ("TOKEN_FILE", "/a"),
    ],
)
def test_what_only_looks_like_a_secret_is_silent(name: str, value: str, said: Said) -> None:
    assert said({"spec.worker.environmentVariables": env((name, value))}) == []


def test_init_containers_are_looked_at_too(said: Said) -> None:
    own = {"name": "prepare", "image": "busybox:1.37.0", "env": [{"name": "HF_TOKEN", "value": "abc"}, {"name": "="}]}
    told = said({"spec.kubernetes": {"initContainers": [own, own | {"env": []}]}})
    assert [each.split(": ")[0 if each.startswith("spec") else 1] for each in told] == [
        "spec.kubernetes.initContainers[0].env[0].value",
        "spec.kubernetes.initContainers[0].env[1].name",
        "spec.kubernetes.initContainers[1].name",
    ]


def test_an_init_container_may_be_called_what_only_a_colocated_pod_has(said: Said) -> None:
    own = {"spec.kubernetes": {"initContainers": [{"name": "dpd-test", "image": "busybox:1.37.0"}]}}
    assert said(own) == []
    assert "is a container of the endpoint's own pods" in said(own | {"spec.pdSpec": None})[0]
