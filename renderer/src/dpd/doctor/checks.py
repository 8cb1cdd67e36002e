"""Third stop: one small function for each row of the troubleshooting table. Pure: facts in, findings out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dpd.doctor import deployment, traffic, wiring
from dpd.doctor.facts import Facts

GOOD, FAULT, FOLLOWS, SKIPPED = "ok", "fault", "follows", "skipped"


@dataclass(frozen=True)
class Check:
    """One row: `look` returns what was seen that should not be, or nothing; causes explain it away."""

    name: str
    title: str
    look: Callable[[Facts], str]
    remedy: str
    causes: tuple[str, ...] = ()
    needs_prompts: bool = False


@dataclass(frozen=True)
class Finding:
    """What came of one check. `verdict` is ok, fault, skipped, or follows: a symptom of a fault that is named."""

    name: str
    title: str
    verdict: str
    seen: str = ""
    remedy: str = ""


_NOT_STARTED = ("gpu", "image", "volume", "certificate-download")
_NOT_SERVING = (*_NOT_STARTED, "role-missing", "engine-dead", "loading")
CHECKS = (
    Check(
        "gpu",
        "nodes offer the GPUs that pods ask for",
        deployment.gpu,
        "install NVIDIA's device plugin, or add nodes of the instance type; kubectl describe node says what one offers",
    ),
    Check(
        "image",
        "images are pulled",
        deployment.image,
        "check worker.image, its registry and the node's right to pull (imagePullSecrets)",
    ),
    Check(
        "volume",
        "volumes are mounted",
        deployment.volume,
        "check modelSourceConfig: bucket or file system, region, and the CSI driver's rights",
    ),
    Check(
        "certificate-download",
        "the certificate authority's file is fetched",
        deployment.certificate_download,
        "give the subnets a route to S3: a gateway endpoint in their route table, or private DNS",
    ),
    Check(
        "role-missing",
        "every role has a pod",
        deployment.role_missing,
        "kubectl describe deployment of that role says why there is none; replicas of 0, or a quota",
        _NOT_STARTED,
    ),
    Check(
        "engine-dead",
        "engines live",
        deployment.engine_dead,
        "read the engine's log above that line and delete the pod; HyperPod's operator must be 3.2 or later",
    ),
    Check(
        "loading",
        "every pod is ready",
        deployment.loading,
        "wait (70B loads for 5 to 10 minutes): dpd doctor --wait; requests get 503 until then",
        (*_NOT_STARTED, "role-missing", "engine-dead"),
    ),
    Check(
        "lmcache-degraded",
        "LMCache is up",
        wiring.lmcache_degraded,
        "use one image for both roles, of LMCache and vLLM versions that fit each other, and the chart's lmcache.yaml",
    ),
    Check(
        "pd-role",
        "prefillers send and decoders receive",
        wiring.pd_role,
        "set pd_role: sender on prefillers, receiver on decoders; the chart does, kvCacheSpec.cacheConfigFile may not",
    ),
    Check("same-image", "both roles run one image", wiring.same_image, "roll both Deployments to worker.image"),
    Check(
        "hash-seed",
        "both roles have one PYTHONHASHSEED",
        wiring.hash_seed,
        'set PYTHONHASHSEED to "0" in worker.environmentVariables, which both roles get',
    ),
    Check(
        "kv-not-moved",
        "decoders retrieve what prefillers computed",
        traffic.kv_not_moved,
        "compare model path, KV cache type, transfer and hash settings of both roles; see DPDZeroTokenRetrievals",
        ("lmcache-degraded", "pd-role", "same-image", "hash-seed", "engine-dead"),
    ),
    Check(
        "buffer-full",
        "transfer buffers have room",
        traffic.buffer_full,
        "raise PD_BUFFER_SIZE to 16 or 32 GiB, or pdSpec.decodingSpec.replicas",
        ("pd-role", "hash-seed", "lmcache-degraded", "same-image"),
    ),
    Check(
        "transfer-slow",
        "KV moves at 1 GB/s a rank or faster",
        traffic.transfer_slow,
        "nodes must offer vpc.amazonaws.com/efa in one zone, and the image have libfabric; see DPDTransferSlow",
        ("buffer-full",),
    ),
    Check(
        "threshold-high",
        "long prompts go through a prefiller",
        traffic.threshold_high,
        "lower pdSpec.routingThreshold",
    ),
    Check(
        "fallback",
        "prefillers compute the prompts that reach the threshold",
        traffic.fallback,
        "see DPDFallbackRate for the reason; never_fits: raise PD_BUFFER_SIZE, as dpd size says",
        (*_NOT_SERVING, "lmcache-degraded", "pd-role", "same-image", "hash-seed", "buffer-full"),
    ),
    Check(
        "uneven-prefillers",
        "prefillers have even loads",
        traffic.uneven_prefillers,
        "set intelligentRoutingSpec.routingStrategy to roundrobin or kvaware",
    ),
    Check(
        "kvaware-miss",
        "kvaware knows what prefillers hold",
        traffic.kvaware_miss,
        "give workers --kv-events-config (the chart does for kvaware); the router's `kv events` lines say what fails",
        _NOT_SERVING,
    ),
    Check(
        "no-metrics",
        "metrics are collected",
        traffic.no_metrics,
        "set metrics.enabled, ask 9113 of the pod, and install the observability add-on",
        _NOT_SERVING,
    ),
    Check(
        "probe",
        "prompts that are sent are answered",
        traffic.probes,
        "read the logs of the router and of the worker it names",
        _NOT_SERVING,
        needs_prompts=True,
    ),
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Run every check; a symptom whose cause was found is told apart from it."""
    found = [_found(check, facts) for check in CHECKS]
    wrong = {each.name for each in found if each.verdict == FAULT}
    return tuple(_explained(each, check, wrong) for each, check in zip(found, CHECKS, strict=True))


def _found(check: Check, facts: Facts) -> Finding:
    if check.needs_prompts and facts.probes is None:
        return Finding(check.name, check.title, SKIPPED, "no prompt was sent", "--probe sends two")
    seen = check.look(facts)
    return Finding(check.name, check.title, FAULT if seen else GOOD, seen, check.remedy if seen else "")


def faults(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return what is wrong of its own."""
    return tuple(each for each in findings if each.verdict == FAULT)


def _explained(finding: Finding, check: Check, wrong: set[str]) -> Finding:
    cause = next((each for each in check.causes if each in wrong), "")
    if finding.verdict != FAULT or not cause:
        return finding
    return replace(finding, verdict=FOLLOWS, remedy=f"see {cause}")
