"""First stop in a cluster: the pods of an endpoint, their events, logs, health and metrics, by the API server."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dpd.doctor import asking
from dpd.doctor.api import Api, NotYetError
from dpd.doctor.facts import ROUTER, WORKER, Container, Facts, Pod
from dpd.doctor.parsing import json_object, yaml_object

SYSTEM = "hyperpod-inference-system"
_GROUP = "/apis/inference.sagemaker.aws.amazon.com/v1"
_ROLE_LABEL = "inference.sagemaker.aws.amazon.com/dpd-role"
_ROUTER, _COLLECTOR = "router-container", "otel-collector"
_PROXY_PORT, _ROUTER_PORT = 8081, 8080
_HTTP_PORT, _METRICS_PORT = "http", "metrics"
_UNREACHABLE = "error trying to reach service"
_TAIL_LINES = 5000
_OK = 200
Object = Mapping[str, Any]


def gather(api: Api, name: str, namespace: str, system: str, key: str | None) -> Facts:
    """Read everything of an endpoint; with a key (empty for none) send two prompts first. Raises UsageError."""
    router = f"{name}-{namespace}-router"
    workers = _role_of(api, namespace, name, worker=True)
    routers = _role_of(api, system, router, worker=False)
    if not workers and not routers:
        fact = f"no Deployment of an endpoint {name}"
        raise NotYetError(f"{namespace}: {fact}; name another with -n, or install it: helm install {name} charts/dpd")
    pods = (*_pods(api, namespace, name, workers), *_pods(api, system, router, routers))
    facts = Facts(
        endpoint=f"{namespace}/{name}",
        pods=pods,
        roles=tuple(dict.fromkeys((*workers.values(), *routers.values()))),
        router=_settings(api, system, router),
        collected=_collected(api, namespace, name),
        said=_said(api, namespace, name),
    )
    if key is None:
        return facts
    asking.refuse_without(key, facts)
    scheme = "https:" if facts.takes_tls_only else ""
    service = f"{scheme}{name}-{namespace}-routing-service:http"
    probes = asking.probe(_through(api, f"/api/v1/namespaces/{system}/services/{service}/proxy", key), facts.threshold)
    return replace(gather(api, name, namespace, system, None), probes=probes)


def _deployments(api: Api, namespace: str, app: str) -> list[dict[str, Any]]:
    found = api.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
    labels = [each["spec"]["template"]["metadata"].get("labels", {}) for each in found]
    return [each for each, label in zip(found, labels, strict=True) if label.get("app") == app]


def _role_of(api: Api, namespace: str, app: str, *, worker: bool) -> dict[str, str]:
    """Return the roles of an app's Deployments that are to have pods, by the Deployments' names."""
    roles = {}
    for each in _deployments(api, namespace, app):
        template = each["spec"]["template"]
        is_router = any(held["name"] == _ROUTER for held in template["spec"]["containers"])
        if is_router != worker:
            labels = template["metadata"]["labels"]
            roles[each["metadata"]["name"]] = ROUTER if is_router else labels.get(_ROLE_LABEL, WORKER)
    return roles


def _collected(api: Api, namespace: str, app: str) -> bool | None:
    found = _deployments(api, namespace, app)
    held = [[each["name"] for each in one["spec"]["template"]["spec"]["containers"]] for one in found]
    return all(_COLLECTOR in each for each in held) if held else None


def _pods(api: Api, namespace: str, app: str, roles: Mapping[str, str]) -> list[Pod]:
    if not roles:
        return []
    said: dict[str, list[str]] = {}
    for event in api.items(f"/api/v1/namespaces/{namespace}/events"):
        text = f"{event.get('reason', '')}: {event.get('message', '')}"
        said.setdefault(event["involvedObject"].get("name", ""), []).append(text)
    maps = {
        each["metadata"]["name"]: each.get("data", {})
        for each in api.items(f"/api/v1/namespaces/{namespace}/configmaps")
    }
    found = []
    for each in api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{quote(app)}"):
        leaves = "deletionTimestamp" in each["metadata"] or each.get("status", {}).get("phase") in (
            "Succeeded",
            "Failed",
        )
        if not leaves:
            found.append(_pod(api, each, tuple(said.get(each["metadata"]["name"], ())), maps))
    return found


def _pod(api: Api, pod: Object, events: tuple[str, ...], maps: Mapping[str, Object]) -> Pod:
    spec, status, main = pod["spec"], pod.get("status", {}), pod["spec"]["containers"][0]
    is_router = main["name"] == _ROUTER
    role = ROUTER if is_router else pod["metadata"]["labels"].get(_ROLE_LABEL, WORKER)
    ports = {each.get("name"): each["containerPort"] for each in main.get("ports", [])}
    port = ports.get(_METRICS_PORT) or ports.get(_HTTP_PORT) or _ROUTER_PORT
    states = {each["name"]: each for each in status.get("containerStatuses", [])}
    runs = "running" in states.get(main["name"], {}).get("state", {})
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    return Pod(
        name=pod["metadata"]["name"],
        role=role,
        address=f"{status.get('podIP', '')}:{_ROUTER_PORT if is_router else _PROXY_PORT}",
        containers=tuple(_container(each["name"], states.get(each["name"], {})) for each in spec["containers"]),
        unscheduled=_unscheduled(status),
        events=events,
        image=main.get("image", ""),
        variables={each["name"]: str(each.get("value", "")) for each in main.get("env", [])},
        cache=_cache(spec, maps),
        log=_text(api, f"{path}/log?container={quote(main['name'])}&tailLines={_TAIL_LINES}") if runs else "",
        health=_relayed(api, f"{path}:{port}/proxy/health")[0] if runs else None,
        metrics=_relayed(api, f"{path}:{port}/proxy/metrics")[1] if runs else None,
    )


def _container(name: str, status: Object) -> Container:
    waiting = status.get("state", {}).get("waiting", {})
    return Container(name, bool(status.get("ready")), waiting.get("reason", ""), waiting.get("message", ""))


def _unscheduled(status: Object) -> str:
    for each in status.get("conditions", []):
        if (each["type"], each["status"]) == ("PodScheduled", "False"):
            return str(each.get("message", ""))
    return ""


def _cache(spec: Object, maps: Mapping[str, Object]) -> dict[str, Any]:
    """Return the lmcache.yaml that a pod mounts."""
    for volume in spec.get("volumes", []):
        text = maps.get(volume.get("configMap", {}).get("name", ""), {}).get("lmcache.yaml")
        if text:
            return yaml_object(text)
    return {}


def _settings(api: Api, system: str, router: str) -> dict[str, Any]:
    status, text = api.ask(f"/api/v1/namespaces/{system}/configmaps/{router}")
    data = json_object(text).get("data") if status == _OK else None
    return yaml_object((data or {}).get("config.yaml", ""))


def _said(api: Api, namespace: str, name: str) -> tuple[str, ...]:
    """Return the messages of the endpoint's own conditions, where a controller keeps it."""
    status, text = api.ask(f"{_GROUP}/namespaces/{namespace}/inferenceendpointconfigs/{name}")
    held = json_object(text).get("status") if status == _OK else None
    return tuple(str(each.get("message", "")) for each in (held or {}).get("conditions", []))


def _text(api: Api, path: str) -> str:
    status, text = api.ask(path)
    return text if status == _OK else ""


def _relayed(api: Api, path: str) -> tuple[int | None, str | None]:
    """Ask a pod by the API server's proxy; None for what the API server itself refuses, 0 when the pod is silent."""
    status, text = api.ask(path)
    if status == _OK:
        return status, text
    if '"kind":"Status"' in text.replace(" ", ""):
        return (asking.SILENT, "") if _UNREACHABLE in text else (None, None)
    return status, ""


def _through(api: Api, root: str, key: str) -> asking.Ask:
    """Return what asks the router by the API server's proxy."""

    def ask(path: str, body: Any) -> tuple[int, str]:
        seconds = asking.TIMEOUT if body is None else asking.ANSWER_SECONDS
        return api.ask(root + path, body, seconds, asking.keyed(key))

    return ask
