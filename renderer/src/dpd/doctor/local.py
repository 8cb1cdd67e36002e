"""First stop on one machine: what the local demo leaves in its folder, and what its processes answer."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dpd.commands import UsageError
from dpd.doctor import asking
from dpd.doctor.facts import DECODE, PREFILL, ROUTER, WORKER, Container, Facts, Pod

_ROLE_LABEL = "inference.sagemaker.aws.amazon.com/dpd-role"
_PROXY, _ROUTER, _COLLECTOR = "sidecar-reverse-proxy", "router-container", "otel-collector"
_MOST_BYTES = 8 * 1024**2
Object = Mapping[str, Any]


def gather(folder: Path, key: str | None) -> Facts:
    """Read a demo's folder and ask its processes; with a key (empty for none) send two prompts first.

    Raises UsageError when it is no such folder.
    """
    deployments = list(_deployments(folder / "manifests.yaml"))
    router = next((each for each in deployments if _container(each, _ROUTER)), None)
    settings = _settings(folder, router) if router else {}
    pods = [each for deployment in deployments for each in _pods(folder, deployment, settings.get("pools", {}))]
    if router is not None:
        pods.append(_asked(_pod(folder, router, _name(router), ROUTER), _watched(settings)))
    roles = tuple(dict.fromkeys(each.role for each in pods))
    workers = [each for each in deployments if _container(each, _PROXY)]
    facts = Facts(
        endpoint=settings.get("endpoint", {}).get("name") or folder.name,
        pods=tuple(pods),
        roles=roles,
        router=settings,
        collected=all(_container(each, _COLLECTOR) for each in workers) if workers else None,
    )
    if key is None:
        return facts
    if router is None:
        raise UsageError(
            f"--probe: {folder} has no router, and where its worker listens is not written; send it a prompt by hand"
        )
    asking.refuse_without(key, facts)
    probes = asking.probe(_door(facts, key).ask, facts.threshold)
    return replace(gather(folder, None), probes=probes)


def _watched(settings: Mapping[str, Any]) -> str:
    """Return where a router tells its health and metrics."""
    listen = settings["listen"]
    return f"{listen['host']}:{settings.get('metrics', listen)['port']}"


def _door(facts: Facts, key: str) -> asking.Door:
    """Return where the router takes prompts; under TLS it must have the very certificate that it was given."""
    address = f"{facts.router['listen']['host']}:{facts.router['listen']['port']}"
    if not facts.takes_tls_only:
        return asking.Door(f"http://{address}", key)
    file = facts.router["tls"]["certificateFile"]
    try:
        trust = ssl.create_default_context(cafile=file)
    except OSError as error:
        raise UsageError(f"{file}: is no certificate that can be read: {error}; give the router another") from None
    trust.check_hostname = False  # it is the certificate's own, whatever name it is for
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return asking.Door(f"https://{address}", key, trust)


def _deployments(file: Path) -> Iterator[Object]:
    try:
        objects = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except OSError as error:
        fact = str(error.strerror).lower()
        raise UsageError(f"{file}: {fact}; give the folder that `make demo KEEP=1` prints") from None
    except (yaml.YAMLError, ValueError):
        raise UsageError(f"{file}: is no YAML; give the folder that `make demo KEEP=1` prints") from None
    found = [each for each in objects if each and each.get("kind") == "Deployment"]
    if not any(_container(each, _PROXY) for each in found):
        raise UsageError(f"{file}: has no Deployment with an engine; give the folder that `make demo KEEP=1` prints")
    yield from found


def _settings(folder: Path, router: Object) -> dict[str, Any]:
    """Return the settings that the router was started with, addresses of this machine in them."""
    for file in sorted((folder / _name(router)).glob("*/config.yaml")):
        held = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(held, dict) and "routing" in held:
            return held
    raise UsageError(
        f"{folder / _name(router)}: no config.yaml of a router in it; is the demo still running? `make demo KEEP=1`"
    )


def _pods(folder: Path, deployment: Object, pools: Mapping[str, Any]) -> Iterator[Pod]:
    """Give the engines of a Deployment: the first has its name, the others count on from it."""
    if not _container(deployment, _PROXY):
        return
    name = _name(deployment)
    role = deployment["spec"]["template"]["metadata"]["labels"].get(_ROLE_LABEL, WORKER)
    entries = pools.get(role, [])
    for number, entry in enumerate(entries or [None], start=1):
        pod = _pod(folder, deployment, name if number == 1 else f"{name}-{number}", role)
        yield _asked(pod, f"{entry['host']}:{entry['port']}") if entry else pod


def _pod(folder: Path, deployment: Object, name: str, role: str) -> Pod:
    main = deployment["spec"]["template"]["spec"]["containers"][0]
    caches = sorted((folder / name).glob("*/lmcache.yaml"))
    return Pod(
        name=name,
        role=role,
        containers=(Container(main["name"]),),
        image=main.get("image", ""),
        variables={each["name"]: str(each.get("value", "")) for each in main.get("env", [])},
        cache=yaml.safe_load(caches[0].read_text(encoding="utf-8")) if caches and role in (PREFILL, DECODE) else {},
        log=_tail(folder / f"{name}.log"),
    )


def _asked(pod: Pod, address: str) -> Pod:
    status, _ = asking.get(f"http://{address}/health")
    answered, text = asking.get(f"http://{address}/metrics")
    return replace(pod, address=address, health=status, metrics=text if answered == 200 else "")


def _tail(file: Path) -> str:
    """Return the end of a log; empty when there is none yet."""
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _MOST_BYTES))
        return opened.read().decode("utf-8", "replace")


def _name(deployment: Object) -> str:
    return str(deployment["metadata"]["name"])


def _container(deployment: Object, name: str) -> bool:
    return any(each["name"] == name for each in deployment["spec"]["template"]["spec"]["containers"])
