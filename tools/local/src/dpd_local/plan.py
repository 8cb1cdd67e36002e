"""Third stop: every process of one endpoint with its ports moved to loopback. Decides only; nothing is started.

The pods' own arguments, environment and configuration files are kept; only addresses change, and each change is made
in the parsed document it belongs to.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dpd_local import podspec, substitutes
from dpd_local.manifests import ROUTER_CONTAINER, Manifests, Object, container, worker_container
from dpd_local.podspec import LOOPBACK

Ports = Callable[[int], list[int]]
LMCACHE_FILE = "lmcache.yaml"
ROUTER_FILE = "config.yaml"
SIDE_PORT = "VLLM_NIXL_SIDE_CHANNEL_PORT"


@dataclass(frozen=True)
class Process:
    """One process to start: its command, its environment besides what it inherits, its folders, files and port.

    `sees` says how many healthy workers of each role a router must report before it is ready; empty for an engine.
    `notes` says what of its pod is missing here, and what took its place. `ready` is the path that says it is.
    """

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folders: tuple[Path, ...]
    files: Mapping[Path, str]
    port: int
    sees: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ready: str = "/health"

    @property
    def health(self) -> str:
        """Where it says that it is ready; a GET, so that no sender is asked to generate."""
        return f"http://{LOOPBACK}:{self.port}{self.ready}"


@dataclass(frozen=True)
class Receiver:
    """The ports at which a decoder takes transfers, one of each per tensor-parallel rank."""

    init: list[int]
    alloc: list[int]


@dataclass(frozen=True)
class Plan:
    """The processes of an endpoint in the order of their start."""

    processes: tuple[Process, ...]

    def of_role(self, role: str) -> tuple[Process, ...]:
        """The processes of a role: prefill, decode, worker or router."""
        return tuple(each for each in self.processes if each.role == role)

    def by_role(self, role: str) -> Process | None:
        """The first process of a role."""
        return next(iter(self.of_role(role)), None)

    @property
    def front(self) -> Process:
        """Where a client asks: the router, or the worker of an endpoint without one."""
        return self.processes[-1]


@dataclass(frozen=True)
class Runtime:
    """What stands in for the worker's image and for more than one pod of it.

    `command` comes before the container's arguments, `folders` maps mount paths of volumes that are not rendered (the
    model) to local folders, `environment` is added to the pod's own, `replicas` gives the engines of a role where one
    is not enough.
    """

    command: tuple[str, ...] = (sys.executable, "-m", "dpd_sim")
    folders: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Site:
    """What every process of one plan shares."""

    manifests: Manifests
    folder: Path
    ports: Ports
    secrets: Mapping[str, str]
    runtime: Runtime
    notify: int


@dataclass(frozen=True)
class _Engine:
    process: Process
    receiver: Receiver


def _json_list(value: Any) -> list[int]:
    return [int(each) for each in value] if value else []


def _engine(site: _Site, role: str, deployment: Object, name: str) -> _Engine:
    """One engine of a role, from its pod spec, with the runtime in place of the image."""
    spec = worker_container(deployment)
    mounted = podspec.mounts(site.manifests, deployment, spec, site.folder / name)
    images = podspec.Mounts(site.runtime.folders)
    variables = podspec.environment(site.manifests, deployment, spec, site.secrets)
    port = site.ports(1)[0]
    args = [images.local(each) for each in podspec.arguments(spec, variables)]
    args = podspec.with_flag(podspec.with_flag(args, "--host", LOOPBACK), "--port", str(port))
    args = substitutes.connector(args, site.notify)
    own = substitutes.config_file(variables, (*mounted.folders, *site.runtime.folders), site.folder / name)
    files = {**mounted.files, **own.files}
    receiver, notes = Receiver([], []), own.notes or substitutes.store({}, variables)
    for path, text in mounted.files.items():
        if path.name == LMCACHE_FILE:
            settings = yaml.safe_load(text)
            notes = substitutes.store(settings, variables)
            init, alloc = _json_list(settings.get("pd_peer_init_port")), _json_list(settings.get("pd_peer_alloc_port"))
            receiver = Receiver(site.ports(len(init)), site.ports(len(alloc)))
            files[path] = yaml.safe_dump(_local_lmcache(settings, receiver, site.notify), sort_keys=False)
    moved = {variable: images.local(mounted.local(value)) for variable, value in variables.items()}
    moved.update(own.variables)
    if SIDE_PORT in moved:
        moved[SIDE_PORT] = str(site.ports(1)[0])  # each engine of one host needs its own
    process = Process(
        name=name,
        role=role,
        command=(*site.runtime.command, *args),
        environment={**moved, **site.runtime.environment},
        folders=tuple(mounted.folders.values()),
        files=files,
        port=port,
        notes=notes,
    )
    return _Engine(process, receiver)


def _pool(site: _Site, role: str, deployment: Object) -> list[_Engine]:
    """The engines of a role: the first has the Deployment's name, the others count on from it."""
    name = deployment["metadata"]["name"]
    names = [name, *(f"{name}-{count}" for count in range(2, site.runtime.replicas.get(role, 1) + 1))]
    return [_engine(site, role, deployment, each) for each in names]


def _local_lmcache(settings: dict[str, Any], receiver: Receiver, notify: int) -> dict[str, Any]:
    """The engine's cache settings with loopback addresses."""
    moved = dict(settings)
    if receiver.init:
        moved |= {"pd_peer_init_port": receiver.init, "pd_peer_alloc_port": receiver.alloc}
    if "pd_proxy_host" in settings:
        moved |= {"pd_proxy_host": LOOPBACK, "pd_proxy_port": notify}
    return moved


def _upstream(engine: _Engine, alone: bool) -> dict[str, Any]:
    """One entry of a router's pool; of several decoders on one host, each names its own transfer ports."""
    entry: dict[str, Any] = {"host": LOOPBACK, "port": engine.process.port}
    if engine.receiver.init and not alone:
        entry |= {"initPorts": engine.receiver.init, "allocPorts": engine.receiver.alloc}
    return entry


def _local_router(
    settings: dict[str, Any], pools: Mapping[str, list[_Engine]], port: int, notify: int
) -> dict[str, Any]:
    """The router's settings with loopback addresses: one upstream for each engine, at its own port."""
    # Secrets of the cluster are not here, and metrics need no port of their own where nobody probes.
    moved = {name: section for name, section in settings.items() if name not in ("tls", "auth", "metrics")}
    moved["listen"] = {**settings["listen"], "host": LOOPBACK, "port": port}
    moved["discovery"] = {"mode": "static"}
    moved["pools"] = {
        role: [_upstream(each, alone=len(pools[role]) == 1) for each in pools[role]] for role in settings["pools"]
    }
    if "notify" in settings.get("transfer", {}):
        notice = {"host": LOOPBACK, "port": notify}
        receiver = pools["decode"][0].receiver
        transfer = {**settings["transfer"], "initPorts": receiver.init, "allocPorts": receiver.alloc}
        moved["transfer"] = {**transfer, "notify": notice}
    return moved


def _router(site: _Site, deployment: Object, pools: Mapping[str, list[_Engine]], port: int) -> Process:
    """The router, from its pod spec."""
    spec = container(deployment, ROUTER_CONTAINER)
    assert spec is not None
    name = deployment["metadata"]["name"]
    mounted = podspec.mounts(site.manifests, deployment, spec, site.folder / name)
    variables = podspec.environment(site.manifests, deployment, spec, {})
    files = dict(mounted.files)
    for path, text in mounted.files.items():
        if path.name == ROUTER_FILE:
            settings = _local_router(yaml.safe_load(text), pools, port, site.notify)
            files[path] = yaml.safe_dump(settings, sort_keys=False)
    args = [mounted.local(each) for each in podspec.arguments(spec, variables)]
    return Process(
        name=name,
        role="router",
        command=(sys.executable, "-m", "dpd_router", *args),
        environment={variable: mounted.local(value) for variable, value in variables.items()},
        folders=tuple(mounted.folders.values()),
        files=files,
        port=port,
        sees={role: len(pool) for role, pool in pools.items()},
    )


def make(
    manifests: Manifests, folder: Path, ports: Ports, secrets: Mapping[str, str], runtime: Runtime | None = None
) -> Plan:
    """Plan the engines of each role, then the router if the endpoint has one.

    `ports(n)` returns n free ports; `secrets` is described at `podspec.environment`; without a `runtime` each role is
    one simulated engine. Raises ValueError when the manifests hold no engine.
    """
    workers = manifests.workers()
    if not workers:
        raise ValueError("manifests: no Deployment with an engine; render charts/dpd with a values file")
    notify, front = ports(2)
    site = _Site(manifests, folder, ports, secrets, runtime or Runtime(), notify)
    pools = {role: _pool(site, role, deployment) for role, deployment in workers.items()}
    engines = tuple(each.process for pool in pools.values() for each in pool)
    router = manifests.router()
    if router is None:
        return Plan(engines)
    return Plan((*engines, _router(site, router, pools, front)))


def router_settings(config_map: Object) -> dict[str, Any] | None:
    """The router's settings when a ConfigMap holds them."""
    text = config_map.get("data", {}).get(ROUTER_FILE)
    settings = yaml.safe_load(text) if text else None
    return settings if settings and "routing" in settings else None
