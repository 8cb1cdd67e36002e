from typing import Any

import pytest

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath
from dpd.rules import check
from dpd.rules.model import model_gains_from_pd
from renderer.changes import ANNOTATION, COLOCATED, CONNECTOR, GPUS_2, NIXL, TCP, Said, args, env


def starting(found: list[str], text: str) -> list[str]:
    return [each for each in found if each.startswith(text)]


@pytest.mark.parametrize("name", ["a", "a-b", "a" * 39])
def test_a_name_that_fits_is_silent(name: str, said: Said) -> None:
    assert said({"metadata.name": name}) == []


def test_a_name_is_measured_with_its_namespace(said: Said) -> None:
    (found,) = said({"metadata.name": "a" * 40})
    assert found.endswith("64 characters long, 63 are allowed; shorten name or namespace by 1 character")
    assert said({"metadata.name": "a" * 40, "metadata.namespace": "ns"}) == []
    assert said({"metadata.name": "a" * 39, "metadata.namespace": None}) == []


def test_a_colocated_name_without_a_router_may_be_longer(said: Said) -> None:
    assert said(COLOCATED | {"metadata.name": "a" * 63}) == []
    routed = COLOCATED | {"metadata.name": "a" * 63, "spec.intelligentRoutingSpec": {"enabled": True}}
    assert "makes the Service name" in said(routed)[0]


@pytest.mark.parametrize("kind", ["p5", "p5e", "p5en", "p6-b200", "p6-b300"])
def test_types_with_gpu_direct_are_silent(kind: str, said: Said) -> None:
    assert said({"spec.instanceType": f"ml.{kind}.48xlarge"}) == []


def test_a_type_without_gpu_direct_is_fine_over_tcp(said: Said) -> None:
    assert said({"spec.instanceType": "ml.p4d.24xlarge", "spec.worker.environmentVariables": env()} | TCP) == []


def test_a_type_without_gpu_direct_is_fine_colocated(said: Said) -> None:
    assert said(COLOCATED | {"spec.instanceType": "ml.g6.xlarge"}) == []


def test_a_type_without_gpu_direct_is_found_wherever_it_is_named(said: Said) -> None:
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["ml.g5.48xlarge"]}
                    ]
                }
            ]
        }
    }
    by_affinity = said({"spec.instanceType": None, "spec.nodeAffinity": affinity})
    assert starting(by_affinity, 'spec.nodeAffinity: "ml.g5.48xlarge" is not supported by pdSpec')
    selector = {"node.kubernetes.io/instance-type": "ml.g5.48xlarge"}
    by_selector = said({"spec.pdSpec.decodingSpec.nodeSelector": selector})
    assert starting(by_selector, 'spec.pdSpec.decodingSpec.nodeSelector: "ml.g5.48xlarge" is not supported')
    by_list = said({"spec.instanceType": None, "spec.instanceTypes": ["ml.p5.48xlarge", "ml.g5.48xlarge"]})
    assert starting(by_list, 'spec.instanceTypes[1]: "ml.g5.48xlarge" is not supported by pdSpec')


def test_an_affinity_for_nodes_of_any_type_names_no_type(said: Said) -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    (found,) = said({"spec.instanceType": None, "spec.nodeAffinity": affinity})
    assert found.startswith("warning: spec: no instance type is named, so KV is carried over TCP, which is slow")


def test_asking_for_efa_without_a_type_says_what_is_missing(said: Said) -> None:
    (found,) = said({"spec.instanceType": None, "metadata.annotations": {ANNOTATION: "efa"}})
    assert found == (
        "warning: spec: no instance type is named, so EFA devices and huge pages cannot be counted; "
        "add instanceType, or fill in `instance` in the values by hand"
    )


def test_node_affinity_excludes_an_instance_type(said: Said) -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert said({"spec.nodeAffinity": affinity}) == [
        "spec.nodeAffinity: set together with instanceType; keep one of them"
    ]


def test_gpus_without_requests_or_as_a_number_count(said: Said) -> None:
    both = {"limits": {"nvidia.com/gpu": 8}}
    assert said({"spec.pdSpec.prefillSpec.resources": both, "spec.pdSpec.decodingSpec.resources": both}) == []


def test_roles_without_gpus_are_fine_where_no_node_has_any(said: Said) -> None:
    cpus = {"limits": {"cpu": "4"}}
    changes: dict[str, Any] = {"spec.instanceType": None, "spec.pdSpec.prefillSpec.resources": cpus}
    changes |= {"spec.pdSpec.decodingSpec.resources": cpus, "spec.worker.args": []}
    assert said(changes | TCP) == []


def test_a_role_uses_the_flag_it_overrides(said: Said) -> None:
    changes: dict[str, Any] = {f"spec.pdSpec.{role}.args": ["-tp=2"] for role in ("prefillSpec", "decodingSpec")}
    changes |= {f"spec.pdSpec.{role}.resources": GPUS_2 for role in ("prefillSpec", "decodingSpec")}
    assert said(changes) == []


@pytest.mark.parametrize("flag", [["--model", "/a"], ["--kv-cache-dtype", "fp8"], ["--kv_cache_dtype=fp8"]])
def test_what_kv_depends_on_is_the_same_on_both_roles(flag: list[str], said: Said) -> None:
    (found,) = said({"spec.pdSpec.prefillSpec.args": flag})
    assert found.endswith("make them the same")
    assert said({"spec.worker.args": args(*flag)}) == []


def test_the_default_of_a_flag_is_the_same_as_not_setting_it(said: Said) -> None:
    assert said({"spec.pdSpec.prefillSpec.args": ["--kv-cache-dtype", "auto"]}) == []


@pytest.mark.parametrize(
    "flag", ["--kv-transfer-config", "--kv_transfer_config={}", "--kv-transfer-config.kv_role=kv_both"]
)
def test_the_transfer_configuration_is_the_charts_wherever_it_is_set(flag: str, said: Said) -> None:
    for place in ("spec.pdSpec.prefillSpec.args", "spec.pdSpec.decodingSpec.args"):
        (found,) = said({place: [flag]})
        assert found.startswith(f"{place}[0]: --kv-transfer-config")
    assert len(said({"spec.worker.args": args(flag)})) == 1
    assert said(COLOCATED | {"spec.worker.args": args(flag)}) == []


def test_prefix_caching_on_prefillers_is_silent(said: Said) -> None:
    assert said({"spec.pdSpec.prefillSpec.args": ["--enable-prefix-caching"]}) == []
    assert said({"spec.pdSpec.decodingSpec.args": ["--no-enable-prefix-caching"]}) == []
    assert "pages it hides" in said({"spec.worker.args": args("--enable-prefix-caching")})[0]


def test_several_prefillers_want_a_strategy_in_writing(said: Said) -> None:
    several = {"spec.pdSpec.prefillSpec.replicas": 2}
    assert "not set with 2 prefillers" in said(several)[0]
    for strategy in ("roundrobin", "prefixaware"):
        assert said(several | {"spec.intelligentRoutingSpec": {"enabled": True, "routingStrategy": strategy}}) == []


def test_every_strategy_of_the_contract_is_drawn(said: Said) -> None:
    for strategy in ("prefixaware", "kvaware", "session"):
        assert said({"spec.intelligentRoutingSpec": {"routingStrategy": strategy}}) == []


def test_fsx_without_its_names_is_told(said: Said) -> None:
    source = {"modelSourceType": "fsx", "fsxStorage": {"fileSystemId": "fs-1"}}
    dns, mount = said({"spec.modelSourceConfig": source})
    assert dns.startswith("warning: spec.modelSourceConfig.fsxStorage.dnsName: not given")
    assert mount.startswith("warning: spec.modelSourceConfig.fsxStorage.mountName: not given: it is taken to be fsx")


def test_redis_needs_an_address(said: Said) -> None:
    cache = {"enableL2Cache": True, "l2CacheSpec": {"l2CacheBackend": "Redis"}}
    assert (
        "spec.kvCacheSpec.l2CacheSpec.l2CacheLocalUrl: required when l2CacheBackend is redis; add the address of Redis"
        in (said({"spec.kvCacheSpec": cache}))
    )


def test_bounds_are_compared_in_all_places(said: Said) -> None:
    bounds = {"minReplicaCount": 3, "maxReplicaCount": 2}
    places = {
        "spec.autoScalingSpec": bounds,
        "spec.intelligentRoutingSpec.autoScalingSpec": bounds,
        "spec.pdSpec.autoScalingSpec": {"prefillAutoScaling": bounds, "decodingAutoScaling": bounds},
    }
    assert sum("3 is more than maxReplicaCount, 2;" in each for each in said(places)) == 4


@pytest.mark.parametrize(
    ("requests", "limits", "count"),
    [
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, 0),
        ({"memory": "1G"}, {"memory": "1Gi"}, 0),
        ({"cpu": "1500m"}, {"cpu": 1}, 1),
        ({"cpu": "1e3"}, {"cpu": "1k"}, 0),
        ({"hugepages-2Mi": "1Gi"}, {"hugepages-2Mi": "2Gi"}, 1),
        ({"hugepages-2Mi": "1Gi"}, {}, 1),
        ({"vpc.amazonaws.com/efa": 1}, {"vpc.amazonaws.com/efa": "1"}, 0),
        ({"vpc.amazonaws.com/efa": 1}, {}, 1),
        ({"memory": "1Gi"}, {}, 0),
    ],
)
def test_requests_and_limits_are_compared_as_quantities(
    requests: dict[str, Any], limits: dict[str, Any], count: int, said: Said
) -> None:
    assert len(said({"spec.worker.resources": {"requests": requests, "limits": limits}})) == count


def test_a_rule_is_silent_about_an_endpoint_without_anything() -> None:
    nothing: frozenset[FieldPath] = frozenset()
    assert check(Endpoint("", None, {}, {}, (), nothing)) == []
    assert list(model_gains_from_pd(Endpoint("", None, {}, {"pdSpec": {}}, (), nothing))) == []


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (["sh", "-c", "vllm serve"], 1),
        (["/bin/bash", "-ec", "-c", "vllm serve"], 1),
        (["sh", "-c", 'exec vllm serve "$@"', "sh"], 0),
        (["vllm", "serve"], 0),
        (["vllm", "serve", "--tensor-parallel-size=8", "--port", "8000"], 2),
        ([], 0),
    ],
)
def test_arguments_must_reach_the_engine(command: list[str], count: int, said: Said) -> None:
    found = said({"spec.worker.command": command})
    assert len(found) == count
    assert all(each.startswith("warning: spec.worker.command") for each in found)
    assert said(COLOCATED | {"spec.worker.command": command}) == []


def test_a_misspelt_annotation_is_not_passed_over(said: Said) -> None:
    (found,) = said({"metadata.annotations": {ANNOTATION.replace("transfer", "transport"): "tcp"}})
    assert found.endswith(f"not an annotation that dpd reads; did you mean {ANNOTATION}?")
    assert said({"metadata.annotations": {"example.com/dpd-transfer": "tcp"}}) == []


def test_a_connector_nobody_knows_is_refused(said: Said) -> None:
    (found,) = said({"metadata.annotations": {CONNECTOR: "nxil"}})
    assert found.endswith('"nxil" is no connector that transfers KV; did you mean nixl?')
    (other,) = said({"metadata.annotations": {CONNECTOR: "mooncake"}})
    assert other.endswith("write lmcache or nixl")
    (idle,) = said(COLOCATED | {"metadata.annotations": {CONNECTOR: "nixl"}})
    assert idle.endswith("has no effect without pdSpec; remove it, or add pdSpec")


def test_a_misspelt_connector_annotation_is_not_passed_over(said: Said) -> None:
    (found,) = said({"metadata.annotations": {CONNECTOR.replace("connector", "conector"): "nixl"}})
    assert found.endswith(f"did you mean {CONNECTOR}?")


@pytest.mark.parametrize(
    ("cache", "refused"),
    [({}, True), ({"enableL1Cache": True}, True), ({"enableL1Cache": False}, False), (None, False)],
)
def test_vllms_own_connector_has_no_cache_of_lmcaches(cache: dict[str, bool] | None, refused: bool, said: Said) -> None:
    found = [each for each in said(NIXL | {"spec.kvCacheSpec": cache}) if "kvCacheSpec" in each]
    assert bool(found) is refused
    assert all("which runs without LMCache; remove one of them" in each for each in found)


def test_with_vllms_own_connector_roles_may_differ_in_ranks_and_nothing_of_lmcaches_matters(said: Said) -> None:
    ranks = {"spec.pdSpec.prefillSpec.args": ["--tensor-parallel-size", "4"]}
    assert any("each rank sends to its like" in each for each in said(ranks))
    (found,) = said(NIXL | ranks | {"spec.worker.environmentVariables": []})
    assert "4 of the 8 GPUs of a prefill pod are used" in found


def test_a_volume_may_not_take_the_models_name(said: Said) -> None:
    volumes = [{"name": "model-weights", "emptyDir": {}}]
    assert said({"spec.kubernetes": {"volumes": volumes}}) == [
        'spec.kubernetes.volumes[0].name: "model-weights" is the volume that modelSourceType s3 makes for the model; '
        "use another name"
    ]


def test_the_models_volume_may_not_take_a_reserved_name(said: Said) -> None:
    assert said({"spec.worker.modelVolumeMount.name": "shm"}) == [
        'spec.worker.modelVolumeMount.name: "shm" is reserved for the endpoint\'s own volume; use another name'
    ]


def test_a_line_break_at_the_end_of_a_name_is_part_of_it(said: Said) -> None:
    for path in ("metadata.name", "metadata.namespace", "spec.kubernetes.serviceAccountName"):
        assert said({path: "a\n"}) == [
            rf'{path}: "a\n" is not a DNS name; use lower-case letters, digits and dashes, '
            "with a letter or digit at both ends"
        ]
    for path in ("spec.modelName", "spec.worker.modelVolumeMount.name", "spec.modelSourceConfig.s3Storage.bucketName"):
        assert rf'{path}: "a\n" ends with a line break; write it behind its key, without | or >' in said({path: "a\n"})


def test_lists_that_are_too_long_or_empty_are_told_by_how_much(said: Said) -> None:
    triggers: dict[str, Any] = {"cloudWatchTriggerList": [{}] * 102}
    assert "spec.autoScalingSpec.cloudWatchTriggerList: has 102 items, 100 are allowed; drop 2 items" in said(
        {"spec.autoScalingSpec": triggers}
    )
    capture = {"modelPod": {"enabled": True, "captureOptions": []}}
    assert "spec.dataCapture.modelPod.captureOptions: is empty; fill it in, or remove it" in said(
        {"spec.dataCapture": capture}
    )


def test_limits_without_a_number_to_hold_are_told(said: Said) -> None:
    limits = "spec.worker.requestLimits"
    assert said({limits: {"maxQueueSize": 5}}) == [
        f"warning: {limits}: limits nothing without maxConcurrentRequests; add it, or remove requestLimits"
    ]
    assert said({limits: {"maxQueueSize": 5, "maxConcurrentRequests": 5}}) == []


@pytest.mark.parametrize("tier", ["modelPod", "loadBalancer"])
def test_captures_need_a_place(tier: str, said: Said) -> None:
    capture = "spec.dataCapture"
    fact = f"required when {tier} is enabled and there is no tlsConfig.tlsCertificateOutputS3Uri"
    assert said({capture: {tier: {"enabled": True}}}) == [f"{capture}.s3Uri: {fact}; add it"]
    assert said({capture: {tier: {"enabled": False}}}) == []
    assert said({capture: {tier: {"enabled": True}, "s3Uri": "s3://here"}}) == []
    by_certificates = {"tlsCertificateOutputS3Uri": "s3://certificates/below"}
    assert starting(said({capture: {tier: {"enabled": True}}, "spec.tlsConfig": by_certificates}), capture) == []
