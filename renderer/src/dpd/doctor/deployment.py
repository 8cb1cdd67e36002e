"""The rows about pods that do not come up, or do not stay up. Pure; each returns what was seen, or nothing."""

import re
from collections.abc import Iterator

from dpd.doctor.evidence import line_with
from dpd.doctor.facts import Facts, Pod

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_DEAD = re.compile(
    r"EngineDeadError|EngineCore encountered a fatal error|TimeoutError.*execute_model|RPC call .* timed out"
)
_CERTIFICATE = re.compile(
    r"\A(?=.*(?:\bCA\b|certificate))(?=.*(?:download|fetch))(?=.*(?:timeout|timed out))", re.IGNORECASE
)
_OK, _UNAVAILABLE, _SILENT = 200, 503, 0


def gpu(facts: Facts) -> str:
    """A pod waits for GPUs that no node offers."""
    return _first((each, each.unscheduled) for each in facts.pods if "Insufficient nvidia.com/gpu" in each.unscheduled)


def image(facts: Facts) -> str:
    """A container waits for its image."""
    return _first(
        (pod, f"{each.name} {each.waiting}: {each.said}".rstrip(": "))
        for pod in facts.pods
        for each in pod.containers
        if each.waiting in _PULL
    )


def volume(facts: Facts) -> str:
    """A pod that is not ready waits for a volume."""
    return _first(
        (pod, event)
        for pod in facts.pods
        if _waits(pod)
        for event in pod.events
        if event.partition(":")[0] in _MOUNT or "MountVolume" in event
    )


def certificate_download(facts: Facts) -> str:
    """Somebody waited in vain for the certificate authority's file."""
    for said in facts.said:
        if _CERTIFICATE.search(said):
            return said
    return _first(
        (pod, line)
        for pod in facts.pods
        for line in (*(event for event in pod.events if _CERTIFICATE.search(event)), line_with(pod.log, _CERTIFICATE))
        if line and _waits(pod)
    )


def role_missing(facts: Facts) -> str:
    """A role has no pod at all."""
    missing = [role for role in facts.roles if not facts.of(role)]
    return f"no pod of role {', '.join(missing)}" if missing else ""


def engine_dead(facts: Facts) -> str:
    """An engine says that it is dead: its front end still answers, with 503."""
    return _first(
        (pod, line)
        for pod in facts.engines
        if pod.health not in (None, _OK) or _waits(pod)
        for line in (line_with(pod.log, _DEAD),)
        if line
    )


def loading(facts: Facts) -> str:
    """A pod is not ready, or its health does not say 200."""
    return _first((pod, said) for pod in facts.pods for said in (_unready(pod),) if said)


def _unready(pod: Pod) -> str:
    ready = sum(each.ready for each in pod.containers)
    if ready < len(pod.containers):
        waits = [f"{each.name} {each.waiting}".rstrip() for each in pod.containers if not each.ready]
        return f"{ready}/{len(pod.containers)} ready, waiting for {', '.join(waits)}"
    if pod.health in (None, _OK):
        return pod.unscheduled
    return "no answer to GET /health" if pod.health == _SILENT else f"GET /health answers {pod.health}"


def _waits(pod: Pod) -> bool:
    return not pod.containers or any(not each.ready for each in pod.containers)


def _first(found: Iterator[tuple[Pod, str]]) -> str:
    """Return the first that was seen, with how many more pods there are of the kind."""
    seen: dict[str, str] = {}
    for pod, said in found:
        seen.setdefault(pod.name, said)
    if not seen:
        return ""
    name, said = next(iter(seen.items()))
    more = f" (and {len(seen) - 1} more)" if len(seen) > 1 else ""
    return f"{name}: {said}{more}"
