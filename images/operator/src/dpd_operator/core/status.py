"""Last decision: what the status of an endpoint says, from what was planned, what Helm did and what the cluster holds.

`conditions[0]` sums up and is what people and scripts read; the roles follow as conditions of their own, because the
contract has no other place for them and clients refuse keys they do not know.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from dpd_operator.core import edge
from dpd_operator.core.conditions import Condition, conditions
from dpd_operator.core.objects import Key, Tree
from dpd_operator.core.roles import ROUTER, Role

READY_WORDS = "DPD prefill and decode deployments are ready"
DEFAULT_DEPLOY_SECONDS = 3600
_TITLES = {"prefill": "PrefillReady", "decode": "DecodeReady", "worker": "WorkerReady", ROUTER: "RouterReady"}


class Stage(Enum):
    """How far the controller itself has come with the present generation."""

    REFUSED = "refused"
    APPLYING = "applying"
    FAILED = "failed"
    APPLIED = "applied"
    REMOVING = "removing"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class View:
    """All that a status is made of. `words`: problems, or what Helm complained of; `objects`: the release's, live."""

    key: Key
    generation: int
    spec: Tree
    stage: Stage
    words: tuple[str, ...]
    warnings: tuple[str, ...]
    roles: tuple[Role, ...]
    objects: tuple[Tree, ...] = ()

    @property
    def is_disaggregated(self) -> bool:
        """Whether the manifest asks for prefill and decode."""
        return bool(self.spec.get("pdSpec"))

    @property
    def is_ready(self) -> bool:
        """Whether everything that was asked for is there and serves."""
        return self.stage is Stage.APPLIED and bool(self.roles) and all(each.is_ready for each in self.roles)


def status(view: View, before: Tree, now: datetime) -> dict[str, Any]:
    """Return the whole status. `before`: the one that is stored; where nothing changed its times stay."""
    instant = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    old = before.get("conditions") or []
    applied = conditions([_applied(view)], old, view.generation, instant)[0]
    state, sentence = _state(view, before, applied, now)
    first = Condition("Ready", view.is_ready, _reason(view, state), sentence)
    listed = conditions([first, _valid(view), *map(_role, view.roles)], old, view.generation, instant)
    workers = [each for each in view.roles if each.component != ROUTER]
    found: dict[str, Any] = {
        "state": state,
        "observedGeneration": view.generation,
        "replicas": sum(each.exist for each in workers),
        "selector": _selector(view),
        "conditions": [*listed[:2], applied, *listed[2:]],
        "metricsStatus": _metrics(view),
    }
    if view.spec.get("endpointName"):
        # Nothing here talks to SageMaker: the router answers under this name.
        found["endpoints"] = {"sagemaker": {"state": "NotRegistered"}}
    certificate = edge.certificate(view.spec, view.objects, now)
    record = edge.dns(view.spec, view.objects, before.get("dnsStatus") or {}, instant)
    found |= {"tlsCertificate": certificate} if certificate is not None else {}
    found |= {"dnsStatus": record} if record is not None else {}
    found["deploymentStatus"] = _deployment(view, state, first, before.get("deploymentStatus") or {}, instant)
    return found


def deadline(view: View, found: Tree) -> datetime | None:
    """Return when an endpoint that is still on its way has taken too long, or None when nothing is on its way."""
    if view.is_ready or view.stage is not Stage.APPLIED or found.get("state") != "DeploymentInProgress":
        return None
    seconds = int(view.spec.get("maxDeployTimeInSeconds", DEFAULT_DEPLOY_SECONDS))
    started = next(each for each in found["conditions"] if each["type"] == "Applied")["lastTransitionTime"]
    return _time(started) + timedelta(seconds=seconds)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _applied(view: View) -> Condition:
    match view.stage:
        case Stage.APPLIED:
            return Condition("Applied", True, "Installed", "the chart's objects are in the cluster")
        case Stage.FAILED:
            return Condition("Applied", False, "HelmFailed", "\n".join(view.words))
        case Stage.REFUSED:
            ran = any(view.roles)
            kept = "what was installed before stays as it is" if ran else "nothing was installed"
            return Condition("Applied", False, "InvalidManifest", kept)
        case Stage.REMOVING | Stage.STUCK:
            return Condition("Applied", False, "Deleting", "the chart's objects are being removed")
        case _:
            return Condition("Applied", False, "Applying", "; ".join(view.words) or "the chart is being installed")


def _valid(view: View) -> Condition:
    if view.stage is Stage.REFUSED:
        return Condition("Valid", False, "InvalidManifest", "\n".join(view.words))
    if view.warnings:
        return Condition("Valid", True, "ValidWithWarnings", "\n".join(view.warnings))
    return Condition("Valid", True, "Valid", "the manifest can be rendered")


def _role(role: Role) -> Condition:
    title = _TITLES.get(role.component, f"{role.component.capitalize()}Ready")
    reason = "PodsReady" if role.is_ready else "PodsMissing" if role.name else "NotCreated"
    return Condition(title, role.is_ready, reason, f"{role.name}: {role.words}" if role.name else "not created yet")


def _state(view: View, before: Tree, applied: Tree, now: datetime) -> tuple[str, str]:
    """Return the state and the sentence that goes with it."""
    match view.stage:
        case Stage.REFUSED:
            return "DeploymentFailed", "\n".join(view.words)
        case Stage.FAILED:
            return "DeploymentFailed", "\n".join(view.words)
        case Stage.REMOVING:
            return "DeletionInProgress", "removing the endpoint's objects"
        case Stage.STUCK:
            return "DeletionFailed", "\n".join(view.words)
        case Stage.APPLYING:
            return "DeploymentInProgress", _missing(view)
        case _:
            pass
    if view.is_ready:
        return "DeploymentComplete", _ready_words(view)
    # Once complete, a pod that comes and goes does not undo the deployment; the condition says that it is not ready.
    # Whatever is installed anew passes through DeploymentInProgress first.
    if before.get("state") == "DeploymentComplete":
        return "DeploymentComplete", _missing(view)
    seconds = int(view.spec.get("maxDeployTimeInSeconds", DEFAULT_DEPLOY_SECONDS))
    if now >= _time(applied["lastTransitionTime"]) + timedelta(seconds=seconds):
        return "DeploymentFailed", f"not ready after maxDeployTimeInSeconds ({seconds}): {_missing(view)}"
    return "DeploymentInProgress", _missing(view)


def _reason(view: View, state: str) -> str:
    match view.stage:
        case Stage.REFUSED:
            return "InvalidManifest"
        case Stage.FAILED:
            return "HelmFailed"
        case Stage.REMOVING | Stage.STUCK:
            return state
        case _:
            pass
    if view.is_ready:
        return "AllReady"
    return "DeployTimeExceeded" if state == "DeploymentFailed" else "RolesNotReady"


def _ready_words(view: View) -> str:
    return READY_WORDS if view.is_disaggregated else f"Deployment {view.key.name} is ready"


def _missing(view: View) -> str:
    waiting = [
        f"{each.component} ({each.words if each.name else 'not created yet'})"
        for each in view.roles
        if not each.is_ready
    ]
    return f"waiting for {', '.join(waiting)}" if waiting else "; ".join(view.words) or "the chart is being installed"


def _selector(view: View) -> str:
    return f"app={view.key.name},deploying-service=hyperpod-inference"


def _metrics(view: View) -> dict[str, Any]:
    metrics = view.spec.get("metrics") or {}
    model = metrics.get("modelMetrics") or {}
    is_enabled = metrics.get("enabled", True)
    if not is_enabled:
        return {"enabled": False, "state": "Disabled"}
    port = (view.spec.get("worker") or {}).get("modelInvocationPort", {}).get("containerPort", 8080)
    return {
        "enabled": True,
        "state": "Enabled",
        "metricsScrapeIntervalSeconds": metrics.get("metricsScrapeIntervalSeconds", 15),
        "modelMetrics": {"path": model.get("path", "/metrics"), "port": model.get("port", port)},
    }


def _deployment(view: View, state: str, first: Condition, before: Tree, instant: str) -> dict[str, Any]:
    """The block clients print: of the Deployment that answers clients, in the endpoint's own state."""
    shown = next((each for each in view.roles if each.component in ("decode", "worker")), None)
    found: dict[str, Any] = {
        "name": shown.name if shown and shown.name else view.key.name,
        "deploymentObjectOverallState": state,
        "reason": first.reason,
        "message": first.message,
        "status": dict(shown.status) if shown else {},
    }
    unchanged = {key: each for key, each in before.items() if key != "lastUpdated"} == found
    return {**found, "lastUpdated": before["lastUpdated"] if unchanged and "lastUpdated" in before else instant}
