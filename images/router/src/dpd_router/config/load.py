"""From a YAML file to a Config, or to every problem in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs

from dpd_router.api.routes import TAKEN
from dpd_router.config.discovery import place, read_lookup
from dpd_router.config.routing import Routing, read_routing
from dpd_router.config.sagemaker import endpoint_name
from dpd_router.config.section import Section
from dpd_router.config.standing import Standing, Timing, read_standing, read_timing
from dpd_router.config.surface import Surface, read_surface
from dpd_router.config.transfer import Transfer, transfer_of
from dpd_router.discovery import Lookup, Target
from dpd_router.errors import ConfigInvalidError, Problem
from dpd_router.pool import Role
from dpd_router.types import Policy
from dpd_router.wire.reader import Limits

MAX_FILE_BYTES = 1024 * 1024
HELD_BYTES = 512 * 1024 * 1024  # a quarter of the memory that the chart gives a router; parsed, bodies take it again


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the router is told. `transfer` is None when all workers are colocated.

    `sagemaker` is the endpoint's name in the SageMaker Runtime API, empty when it has none.
    """

    host: str
    port: int
    endpoint: str
    namespace: str
    routing: Routing
    policy: Policy
    transfer: Transfer | None
    targets: tuple[Target, ...]
    limits: Limits
    timing: Timing
    standing: Standing
    lookup: Lookup
    surface: Surface
    sagemaker: str


def load(path: Path) -> Config:
    """Return the configuration in a file. Raises ConfigInvalidError with everything that is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigInvalidError(
            [Problem(str(path), f"cannot be read: {error.strerror}", "give a readable file")]
        ) from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigInvalidError([Problem(str(path), f"exceeds {MAX_FILE_BYTES} bytes", "give a router configuration")])
    try:
        document = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        fact = "is not YAML: " + " ".join(str(error).split())
        raise ConfigInvalidError([Problem(str(path), fact, "correct its syntax")]) from None
    return from_document(document)


def from_document(document: Any) -> Config:
    """Return the configuration of a parsed document. Raises ConfigInvalidError."""
    problems: list[Problem] = []
    with Section("", document, problems) as root:
        host, port = _listen(root)
        name, namespace, invocation = _endpoint(root)
        routing = read_routing(root)
        transfer = transfer_of(root)
        standing = read_standing(root)
        with root.section("timeouts") as timeouts:
            timing = read_timing(timeouts)
            prefill_seconds = timeouts.seconds("prefillSeconds", 120, 0.1, 86400)
            limits = _limits(root, timeouts)
        policy = _policy(routing.threshold, invocation, prefill_seconds, transfer or Transfer())
        session = routing.session if routing.wants_session else None
        policy = structs.replace(policy, gates=routing.gates, session=session, explain=routing.explain)
        lookup = read_lookup(root, namespace)
        targets = _targets(root, transfer, lookup.mode)
        surface = read_surface(root)
        sagemaker = endpoint_name(root)
    if problems:
        raise ConfigInvalidError(problems)
    here = (host, port, name, namespace)
    return Config(*here, routing, policy, transfer, targets, limits, timing, standing, lookup, surface, sagemaker)


def _listen(root: Section) -> tuple[str, int]:
    with root.section("listen") as listen:
        host = listen.text("host", "0.0.0.0")  # noqa: S104 - a server in a pod listens on its pod's address
        return host, listen.integer("port", 8080, 0, 65535)


def _endpoint(root: Section) -> tuple[str, str, str]:
    with root.section("endpoint", required=True) as endpoint:
        path = endpoint.text("invocationPath", "/v1/chat/completions")
        name = endpoint.text("name")
        namespace = endpoint.text("namespace", "default")
        path = path if path.startswith("/") else "/" + path
        if path in TAKEN:
            endpoint.problem("invocationPath", f"{path} is answered by the router itself", "use another path")
        return name, namespace, path


def _policy(threshold: int, invocation: str, prefill_seconds: float, transfer: Transfer) -> Policy:
    return Policy(
        threshold,
        invocation,
        transfer.page_tokens,
        prefill_seconds=prefill_seconds,
        ready_seconds=transfer.ready_seconds,
        room_seconds=transfer.room_seconds,
        confirm=transfer.confirm,
    )


def _targets(root: Section, transfer: Transfer | None, mode: str) -> tuple[Target, ...]:
    targets: list[Target] = []
    with root.section("pools", required=True) as pools:
        counts = {role: _pool(pools, role, transfer, mode, targets) for role in Role}
        disaggregated = bool(counts[Role.PREFILL] or counts[Role.DECODE])
        if disaggregated and counts[Role.WORKER]:
            pools.problem("worker", "stands beside prefill or decode", "keep either worker, or prefill and decode")
        elif not disaggregated and not counts[Role.WORKER]:
            pools.problem("", "holds no worker", "add decode (and prefill), or worker when colocated")
        elif disaggregated and not counts[Role.DECODE]:
            pools.problem("decode", "required beside prefill", "add the decoders: they answer every request")
    if counts[Role.PREFILL] and transfer is None:
        root.problem("transfer", "required when pools.prefill is set", "add it, or remove pools.prefill")
    return tuple(targets)


def _pool(pools: Section, role: Role, transfer: Transfer | None, mode: str, targets: list[Target]) -> int:
    entries = pools.items(role.value)
    for entry in entries:
        with entry:
            inits, allocs = entry.ports("initPorts"), entry.ports("allocPorts")
            if len(inits) != len(allocs):
                fact = f"{len(allocs)} ports, and initPorts has {len(inits)}"
                entry.problem("allocPorts", fact, "give both lists one port per tensor-parallel rank")
            if transfer is not None and role is Role.DECODE:
                inits, allocs = inits or transfer.init_ports, allocs or transfer.alloc_ports
            host, selector = place(entry, mode)
            targets.append(Target(role, host, entry.integer("port", 8081, 1, 65535), inits, allocs, selector))
    return len(entries)


def _limits(root: Section, timeouts: Section) -> Limits:
    with root.section("limits") as limits:
        head = limits.integer("headBytes", 64 * 1024, 1024, 1024**2)
        body = limits.integer("bodyBytes", 64 * 1024**2, 1024, 2 * 1024**3)
        connections = limits.integer("connections", 10_000, 1, 10**6)
        held = limits.integer("heldBytes", max(HELD_BYTES, body), body, 2**40)
    request = timeouts.seconds("requestSeconds", 60, 0.05, 86400)
    idle = timeouts.seconds("idleSeconds", 75, 0.05, 86400)
    head_seconds = timeouts.seconds("headSeconds", 15, 0.05, 86400)
    stalled = timeouts.seconds("stalledSeconds", 300, 0.05, 86400)
    return Limits(head, body, request, idle, head_seconds, stalled, connections, held)
