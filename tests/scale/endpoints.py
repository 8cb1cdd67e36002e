"""The controller with many endpoints: created at once, edited at once and one after another, and deleted."""

import urllib.request
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from cluster.control import ControlPlane
from controller.cluster import SYSTEM, Tenant
from controller.process import Controller, install, running
from scale.fleet import Fleet
from scale.numbers import Spread, spread
from scale.usage import Usage, resident, used

_PATIENCE_SECONDS = 1800.0
# Edits of one endpoint in a row: the first ones are overtaken while Helm still works on those before them.
_EDITS = 3


@dataclass(frozen=True, slots=True)
class Phase:
    """What was asked, of how many endpoints, how long each took to be so, and what the controller used for it."""

    name: str
    endpoints: int
    took: Spread
    usage: Usage


@dataclass(frozen=True, slots=True)
class Lookups:
    """The controller's own count of its looks at endpoints: how many, their mean, and what 99 of 100 stay below."""

    count: int
    mean: float
    below: float
    errors: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is reported and judged. `idle` is the controller's memory before any endpoint, in bytes."""

    endpoints: int
    idle: int
    phases: tuple[Phase, ...]
    lookups: Lookups
    lost: list[str]
    left: list[str]
    log: str


def measure(plane: ControlPlane, folder: Path, endpoints: int, alone: int) -> Outcome:
    """Let a controller have `endpoints` endpoints, of which `alone` are edited one after another."""
    Tenant(plane, SYSTEM)
    fleet = Fleet(plane, endpoints)
    with running(install(plane, folder), folder) as controller, fleet.watched():
        controller.until_it_leads()
        idle = resident(controller.process.pid)
        phases = [_created(fleet, controller), _edited(fleet, controller), _edited_alone(fleet, controller, alone)]
        lost = fleet.lost(_EDITS)
        phases.append(_deleted(fleet, controller))
        lookups = _lookups(controller)
        left = fleet.left()
        return Outcome(endpoints, idle, tuple(phases), lookups, lost, left, controller.log)


def _created(fleet: Fleet, controller: Controller) -> Phase:
    half = fleet.keys[: len(fleet.keys) // 2]
    with used(controller.process.pid) as usage:
        for key in half:
            fleet.create(key)
        took = fleet.until_complete(half, _PATIENCE_SECONDS, lambda: controller.log[-4000:])
    return Phase("created", len(half), spread(took), usage)


def _edited(fleet: Fleet, controller: Controller) -> Phase:
    """Half of them are only created now, so that their edits meet a first installation."""
    with used(controller.process.pid) as usage:
        for key in fleet.keys[len(fleet.keys) // 2 :]:
            fleet.create(key)
        for turn in range(1, _EDITS + 1):
            for key in fleet.keys:
                fleet.edit(key, turn)
        took = fleet.until_complete(fleet.keys, _PATIENCE_SECONDS, lambda: controller.log[-4000:])
    return Phase("edited three times in a row, half of them just created", len(fleet.keys), spread(took), usage)


def _edited_alone(fleet: Fleet, controller: Controller, count: int) -> Phase:
    took: list[float] = []
    chosen = fleet.keys[:: max(1, len(fleet.keys) // count)][:count]
    with used(controller.process.pid) as usage:
        for key in chosen:
            # There and back, so that all end with the same turn.
            for turn in (_EDITS + 1, _EDITS):
                fleet.edit(key, turn)
                took += fleet.until_complete([key], _PATIENCE_SECONDS, lambda: controller.log[-4000:])
    return Phase("edited one after another", len(took), spread(took), usage)


def _deleted(fleet: Fleet, controller: Controller) -> Phase:
    with used(controller.process.pid) as usage:
        for key in fleet.keys:
            fleet.delete(key)
        took = fleet.until_gone(fleet.keys, _PATIENCE_SECONDS, lambda: controller.log[-4000:])
    return Phase("deleted", len(fleet.keys), spread(took), usage)


def _lookups(controller: Controller) -> Lookups:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    text = opener.open(f"http://127.0.0.1:{controller.metrics_port}/metrics").read().decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    samples = families["dpd_operator_reconcile_seconds"].samples
    count = int(sum(each.value for each in samples if each.name.endswith("_count")))
    errors = int(sum(s.value for s in samples if s.name.endswith("_count") and s.labels["result"] != "ok"))
    total = sum(each.value for each in samples if each.name.endswith("_sum"))
    bounds = [each for each in samples if each.name.endswith("_bucket") and each.labels["result"] == "ok"]
    good = count - errors
    below = min(float(each.labels["le"]) for each in bounds if each.value >= 0.99 * good)
    return Lookups(count, total / count, below, errors)
