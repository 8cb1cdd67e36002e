"""Third stop: every process of one endpoint with its ports moved to loopback. Decides only; nothing is started.

The pods' own arguments, environment and configuration files are kept; only addresses change, and each change is made
in the parsed document it belongs to.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dpd_local import podspec
from dpd_local.manifests import ROUTER_CONTAINER, Manifests, Object, container, worker_container
from dpd_local.podspec import LOOPBACK

Ports = Callable[[int], list[int]]
LMCACHE_FILE = "lmcache.yaml"
ROUTER_FILE = "config.yaml"


@dataclass(frozen=True)
class Process:
    """One process to start: its command, its environment besides what it inherits, its folders, files and port."""

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folders: tuple[Path, ...]
    files: Mapping[Path, str]
    port: int

    @property
    def health(self) -> str:
        """Where it says that it is ready; a GET, so that no sender is asked to generate."""
        return f"http://{LOOPBACK}:{self.port}/health"


@dataclass(frozen=True)
class Receiver:
    """The ports at which a decoder takes transfers, one of each per tensor-parallel rank."""

    init: list[int]
    alloc: list[int]


@dataclass(frozen=True)
class Plan:
    """The processes of an endpoint in the order of their start."""

    processes: tuple[Process, ...]

    def by_role(self, role: str) -> Process | None:
        """The process of a role: prefill, decode, worker or router."""
        return next((each for each in self.processes if each.role == role), None)

    @property
    def front(self) -> Process:
        """Where a client asks: the router, or the worker of an endpoint without one."""
        return self.processes[-1]


def _json_list(value: Any) -> list[int]:
    return [int(each) for each in value] if value else []


def _engine(
    manifests: Manifests,
    role: str,
    deployment: Object,
    folder: Path,
    ports: Ports,
    notify: int,
    secrets: Mapping[str, str],
) -> tuple[Process, Receiver]:
    """One engine of a role, from its pod spec, with the simulator in place of the image."""
    spec = worker_container(deployment)
    mounted = podspec.mounts(manifests, deployment, spec, folder)
    variables = podspec.environment(manifests, deployment, spec, secrets)
    port = ports(1)[0]
    args = podspec.with_flag(podspec.arguments(spec, variables), "--host", LOOPBACK)
    args = podspec.with_flag(args, "--port", str(port))
    files = dict(mounted.files)
    receiver = Receiver([], [])
    for path, text in mounted.files.items():
        if path.name == LMCACHE_FILE:
            settings = yaml.safe_load(text)
            init, alloc = _json_list(settings.get("pd_peer_init_port")), _json_list(settings.get("pd_peer_alloc_port"))
            receiver = Receiver(ports(len(init)), ports(len(alloc)))
            files[path] = yaml.safe_dump(_local_lmcache(settings, receiver, notify), sort_keys=False)
    process = Process(
        name=deployment["metadata"]["name"],
        role=role,
        command=(sys.executable, "-m", "dpd_sim", *args),
        environment={name: mounted.local(value) for name, value in variables.items()},
        folders=tuple(mounted.folders.values()),
        files=files,
        port=port,
    )
    return process, receiver


def _local_lmcache(settings: dict[str, Any], receiver: Receiver, notify: int) -> dict[str, Any]:
    """The engine's cache settings with loopback addresses."""
    moved = dict(settings)
    if receiver.init:
        moved |= {"pd_peer_init_port": receiver.init, "pd_peer_alloc_port": receiver.alloc}
    if "pd_proxy_host" in settings:
        moved |= {"pd_proxy_host": LOOPBACK, "pd_proxy_port": notify}
    return moved


def _local_router(
    settings: dict[str, Any], engines: Mapping[str, Process], receiver: Receiver, port: int, notify: int
) -> dict[str, Any]:
    """The router's settings with loopback addresses: one upstream for each pool, at its engine's port."""
    moved = dict(settings)
    moved["listen"] = {**settings["listen"], "host": LOOPBACK, "port": port}
    moved["pools"] = {role: [{"host": LOOPBACK, "port": engines[role].port}] for role in settings["pools"]}
    if "transfer" in settings:
        notice = {"host": LOOPBACK, "port": notify}
        transfer = {**settings["transfer"], "initPorts": receiver.init, "allocPorts": receiver.alloc}
        moved["transfer"] = {**transfer, "notify": notice}
    return moved


def _router(
    manifests: Manifests,
    deployment: Object,
    folder: Path,
    engines: Mapping[str, Process],
    receiver: Receiver,
    port: int,
    notify: int,
) -> Process:
    """The router, from its pod spec."""
    spec = container(deployment, ROUTER_CONTAINER)
    assert spec is not None
    mounted = podspec.mounts(manifests, deployment, spec, folder)
    variables = podspec.environment(manifests, deployment, spec, {})
    files = dict(mounted.files)
    for path, text in mounted.files.items():
        if path.name == ROUTER_FILE:
            settings = _local_router(yaml.safe_load(text), engines, receiver, port, notify)
            files[path] = yaml.safe_dump(settings, sort_keys=False)
    args = [mounted.local(each) for each in podspec.arguments(spec, variables)]
    return Process(
        name=deployment["metadata"]["name"],
        role="router",
        command=(sys.executable, "-m", "dpd_router", *args),
        environment={name: mounted.local(value) for name, value in variables.items()},
        folders=tuple(mounted.folders.values()),
        files=files,
        port=port,
    )


def make(manifests: Manifests, folder: Path, ports: Ports, secrets: Mapping[str, str]) -> Plan:
    """Plan one engine for each role, then the router if the endpoint has one.

    `ports(n)` returns n free ports; `secrets` is described at `podspec.environment`.
    Raises ValueError when the manifests hold no engine.
    """
    workers = manifests.workers()
    if not workers:
        raise ValueError("manifests: no Deployment with an engine; render charts/dpd with a values file")
    notify, front = ports(2)
    engines: dict[str, Process] = {}
    receivers: dict[str, Receiver] = {}
    for role, deployment in workers.items():
        here = folder / deployment["metadata"]["name"]
        engines[role], receivers[role] = _engine(manifests, role, deployment, here, ports, notify, secrets)
    router = manifests.router()
    if router is None:
        return Plan(tuple(engines.values()))
    receiver = receivers.get("decode", Receiver([], []))
    here = folder / router["metadata"]["name"]
    return Plan((*engines.values(), _router(manifests, router, here, engines, receiver, front, notify)))


def router_settings(config_map: Object) -> dict[str, Any] | None:
    """The router's settings when a ConfigMap holds them."""
    text = config_map.get("data", {}).get(ROUTER_FILE)
    settings = yaml.safe_load(text) if text else None
    return settings if settings and "routing" in settings else None
