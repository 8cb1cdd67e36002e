from collections.abc import Callable
from typing import Any

import pytest
import yaml

from dpd.endpoint import Endpoint, endpoint_of
from dpd.reader import read
from dpd.render import prefetch
from support.paths import EXAMPLES

Said = Callable[..., list[str]]
SHA = "0123456789abcdef0123456789abcdef01234567"


def hub(**more: Any) -> dict[str, Any]:
    return {"modelSourceType": "huggingface", "huggingFaceModel": {"modelId": "example/model-70b", **more}}


def endpoint(resources: dict[str, Any], **spec: Any) -> Endpoint:
    document = yaml.safe_load((EXAMPLES / "llama-3.3-70b-dpd.yaml").read_text())
    document["spec"] |= spec
    document["spec"]["modelSourceConfig"]["prefetchEnabled"] = True
    for role, limits in resources.items():
        document["spec"]["pdSpec"][role]["resources"] = {"limits": limits}
    (found,) = read(yaml.safe_dump(document).encode()).documents
    return endpoint_of(found)


def size(found: Endpoint) -> tuple[str, str]:
    ((entry,),) = [each.value for each in prefetch.entries(found)]
    return entry.value, entry.comment


def test_a_pinned_model_with_a_token_from_a_secret_is_silent(said: Said) -> None:
    model = hub(commitSHA=SHA, tokenSecretRef={"name": "hf-token", "key": "token"})
    assert said({"spec.modelSourceConfig": model}) == []


def test_workers_that_may_hold_different_weights_are_told(said: Said) -> None:
    (found,) = said({"spec.modelSourceConfig": hub()})
    assert found.startswith(
        "warning: spec.modelSourceConfig.huggingFaceModel.commitSHA: not given: a worker that starts"
    )


@pytest.mark.parametrize("token", [{"key": "token"}, {"key": "token", "name": ""}])
def test_a_token_without_its_secrets_name_is_refused(token: dict[str, str], said: Said) -> None:
    (found,) = said({"spec.modelSourceConfig": hub(commitSHA=SHA, tokenSecretRef=token)})
    where = "spec.modelSourceConfig.huggingFaceModel.tokenSecretRef.name"
    assert found == f"{where}: empty, and Kubernetes looks a Secret up by its name; write the Secret's name"


def test_a_location_in_a_hub_is_told(said: Said) -> None:
    (found,) = said({"spec.modelSourceConfig": {**hub(commitSHA=SHA), "modelLocation": "weights"}})
    assert found == (
        "warning: spec.modelSourceConfig.modelLocation: not used when modelSourceType is huggingface; remove it"
    )


def test_an_init_container_of_the_endpoints_own_name_is_refused(said: Said) -> None:
    own = [{"name": "hf-model-downloader", "image": "busybox:1.37.0"}]
    (found,) = said({"spec.kubernetes": {"initContainers": own}})
    where = "spec.kubernetes.initContainers[0].name"
    assert found == f'{where}: "hf-model-downloader" is the endpoint\'s own init container; use another name'


def test_the_copy_takes_what_the_gpus_can_take_up() -> None:
    eight = {"nvidia.com/gpu": "8"}
    sized = size(endpoint({"prefillSpec": eight, "decodingSpec": eight}))
    assert sized == ("640Gi", "Of the model's copy in memory: what 8 GPUs of 80 GiB can take up, rounded down.")


def test_the_copy_takes_no_more_than_half_of_the_pod_with_the_least_memory() -> None:
    large = {"nvidia.com/gpu": "8", "memory": "1024Gi"}
    small = {"nvidia.com/gpu": "8", "memory": "801Gi"}
    sized = size(endpoint({"prefillSpec": large, "decodingSpec": small}))
    assert sized == ("400Gi", "Of the model's copy in memory: half of the 801 GiB of a decode pod, rounded down.")


def test_the_copy_takes_no_more_than_half_of_the_gpus_share_of_the_node() -> None:
    eight = {"nvidia.com/gpu": "8"}
    sized = size(endpoint({"prefillSpec": eight, "decodingSpec": eight}, instanceType="ml.p5e.48xlarge"))
    assert sized[0] == "1024Gi"
    assert "half of 8 of 8 GPUs' share of the node's 2048 GiB" in sized[1]


def test_nothing_is_said_of_a_size_that_nothing_tells() -> None:
    eight = {"nvidia.com/gpu": "8"}
    assert prefetch.entries(endpoint({"prefillSpec": eight, "decodingSpec": eight}, instanceType="ml.x9.mega")) == ()


def test_a_model_that_is_not_prefetched_has_no_size() -> None:
    (document,) = read((EXAMPLES / "llama-3.3-70b-dpd.yaml").read_bytes()).documents
    assert prefetch.entries(endpoint_of(document)) == ()
