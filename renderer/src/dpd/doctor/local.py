"""First stop on one machine: what the local demo leaves in its folder, and what its processes answer."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from dpd.commands import UsageError
from dpd.doctor import asking
from dpd.doctor.facts import DECODE, PREFILL, ROUTER, WORKER, Container, Facts, Pod
from dpd.doctor.parsing import yaml_object

_ROLE_LABEL = "inference.sagemaker.aws.amazon.com/dpd-role"
_PROXY, _ROUTER, _COLLECTOR = "sidecar-reverse-proxy", "router-container", "otel-collector"
_MOST_BYTES = 8 * 1024**2
_FOLDER = "give the folder that `make demo KEEP=1` prints"
Object = Mapping[str, Any]


@dataclass(frozen=True)
class _Deployment:
    """A Deployment: its name, its role, its first container, and the names of all of them."""

    name: str
    role: str
    main: Object
    containers: frozenset[str]


@dataclass(frozen=True)
class _Started:
    """What the router was started with: its settings, and the addresses of this machine in them."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    front: str = ""
    watched: str = ""
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def gather(folder: Path, key: str | None) -> Facts:
    """Read a demo's folder and ask its processes; with a key (empty for none) send two prompts first.

    Raises UsageError when it is no such folder.
    """
    deployments = _deployments(folder / "manifests.yaml")
    router = next((each for each in deployments if each.role == ROUTER), None)
    workers = [each for each in deployments if _PROXY in each.containers]
    started = _started(folder / router.name) if router else _Started()
    pods = [each for worker in workers for each in _pods(folder, worker, started)]
    if router is not None:
        pods.append(_asked(_pod(folder, router, router.name), started.watched))
    facts = Facts(
        endpoint=started.settings.get("endpoint", {}).get("name") or folder.name,
        pods=tuple(pods),
        roles=tuple(dict.fromkeys(each.role for each in pods)),
        router=started.settings,
        collected=all(_COLLECTOR in each.containers for each in workers),
    )
    if key is None:
        return facts
    if router is None:
        raise UsageError(
            f"--probe: {folder} has no router, and where its worker listens is not written; send it a prompt by hand"
        )
    asking.refuse_without(key, facts)
    probes = asking.probe(_door(facts, started.front, key).ask, facts.threshold)
    return replace(gather(folder, None), probes=probes)


def _door(facts: Facts, front: str, key: str) -> asking.Door:
    """Return where the router takes prompts; under TLS it must have the very certificate that it was given."""
    if not facts.takes_tls_only:
        return asking.Door(f"http://{front}", key)
    file = facts.router["tls"]["certificateFile"]
    try:
        trust = ssl.create_default_context(cafile=file)
    except OSError as error:
        raise UsageError(f"{file}: is no certificate that can be read: {error}; give the router another") from None
    trust.check_hostname = False  # it is the certificate's own, whatever name it is for
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return asking.Door(f"https://{front}", key, trust)


def _deployments(file: Path) -> list[_Deployment]:
    with _as_the_demo_writes(file):
        objects = [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]
        found = [_deployment(each) for each in objects if each.get("kind") == "Deployment"]
    if not any(_PROXY in each.containers for each in found):
        raise UsageError(f"{file}: has no Deployment with an engine; {_FOLDER}")
    return found


def _deployment(held: Object) -> _Deployment:
    template = held["spec"]["template"]
    containers = template["spec"]["containers"]
    names = frozenset(each["name"] for each in containers)
    role = ROUTER if _ROUTER in names else template["metadata"]["labels"].get(_ROLE_LABEL, WORKER)
    return _Deployment(str(held["metadata"]["name"]), role, containers[0], names)


def _started(folder: Path) -> _Started:
    """Return what the router was started with."""
    for file in sorted(folder.glob("*/config.yaml")):
        with _as_the_demo_writes(file):
            held = yaml_object(file.read_text(encoding="utf-8"))
            if "routing" not in held:
                continue
            listen = held["listen"]
            pools = {
                role: tuple(f"{each['host']}:{each['port']}" for each in entries)
                for role, entries in held.get("pools", {}).items()
            }
            watched = f"{listen['host']}:{(held.get('metrics') or listen)['port']}"
            return _Started(held, f"{listen['host']}:{listen['port']}", watched, pools)
    raise UsageError(f"{folder}: no config.yaml of a router in it; is the demo still running? `make demo KEEP=1`")


def _pods(folder: Path, worker: _Deployment, started: _Started) -> Iterator[Pod]:
    """Give the engines of a Deployment: the first has its name, the others count on from it."""
    for number, address in enumerate(started.pools.get(worker.role) or ("",), start=1):
        pod = _pod(folder, worker, worker.name if number == 1 else f"{worker.name}-{number}")
        yield _asked(pod, address) if address else pod


def _pod(folder: Path, deployment: _Deployment, name: str) -> Pod:
    main, role = deployment.main, deployment.role
    caches = sorted((folder / name).glob("*/lmcache.yaml"))
    return Pod(
        name=name,
        role=role,
        containers=(Container(main["name"]),),
        image=main.get("image", ""),
        variables={each["name"]: str(each.get("value", "")) for each in main.get("env", [])},
        cache=yaml_object(caches[0].read_text(encoding="utf-8")) if caches and role in (PREFILL, DECODE) else {},
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


@contextmanager
def _as_the_demo_writes(file: Path) -> Iterator[None]:
    """What cannot be read, or was not written by the demo, becomes a usage error."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{file}: {str(error.strerror).lower()}; {_FOLDER}") from None
    except (yaml.YAMLError, UnicodeError):
        raise UsageError(f"{file}: is no YAML; {_FOLDER}") from None
    except KeyError as error:
        raise UsageError(f"{file}: has no {error}, so it is not what the demo writes; {_FOLDER}") from None
    except (IndexError, TypeError, AttributeError):
        raise UsageError(f"{file}: is not what the demo writes; {_FOLDER}") from None
