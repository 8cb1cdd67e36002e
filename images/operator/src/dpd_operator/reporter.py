"""Writes statuses and events, and only when something changed."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dpd_operator.core import edge
from dpd_operator.core.objects import Key, Ref, Tree, key_of
from dpd_operator.core.roles import Role
from dpd_operator.core.status import Stage, View, deadline, status
from dpd_operator.metrics import Metrics
from dpd_operator.seams import Cluster

_LOG = logging.getLogger(__name__)
_BAD = ("DeploymentFailed", "DeletionFailed")


@dataclass(frozen=True, slots=True)
class Step:
    """How far the reconciler has come, with what it has to say."""

    stage: Stage
    words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Reporter:
    """Knows the status it wrote last for each endpoint."""

    def __init__(
        self,
        cluster: Cluster,
        metrics: Metrics,
        objects: Callable[[Key], Mapping[Ref, Tree]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take where statuses are written, and what tells an endpoint's objects as they are."""
        self._objects = objects
        self._cluster = cluster
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._written: dict[Key, tuple[str, dict[str, Any]]] = {}

    def report(self, body: Tree, step: Step, roles: tuple[Role, ...]) -> float | None:
        """Write the status, and an event when the state changed.

        Returns the seconds until time alone would change it, or None. Raises ApiError.
        """
        key, uid = key_of(body), body["metadata"]["uid"]
        before = self._before(key, uid, body)
        view = View(
            key=key,
            generation=body["metadata"]["generation"],
            spec=body["spec"],
            stage=step.stage,
            words=step.words,
            warnings=step.warnings,
            roles=roles,
            objects=tuple(self._objects(key).values()),
        )
        if step.stage is Stage.APPLYING and _has_failed(before, view.generation):
            # Another attempt is no news before it succeeds; why the last one failed is.
            return None
        now = self._clock()
        found = status(view, before, now)
        if found != before:
            self._cluster.write_status(key, found)
            with self._lock:
                self._written[key] = (uid, found)
            self._tell(body, before, found)
        self._metrics.saw(key, found["state"])
        ends = [each for each in (deadline(view, found), edge.next_turn(view.objects, now)) if each]
        return max((min(ends) - now).total_seconds(), 0.0) + 1.0 if ends else None

    def forget(self, key: Key) -> None:
        """Forget an endpoint that is gone."""
        with self._lock:
            self._written.pop(key, None)
        self._metrics.forget(key)

    def _before(self, key: Key, uid: str, body: Tree) -> Tree:
        with self._lock:
            owner, found = self._written.get(key, ("", {}))
        stored: Tree = body.get("status") or {}
        return found if owner == uid else stored

    def _tell(self, body: Tree, before: Tree, found: Tree) -> None:
        """Record what changed of the summary: the state, or why it is bad."""
        old, new = _summary(before), _summary(found)
        if old == new:
            return
        state, message = found["state"], found["conditions"][0]["message"]
        _LOG.info("%s: %s: %s", key_of(body), state, message)
        self._cluster.tell(body, "Warning" if state in _BAD else "Normal", state, message)


def _has_failed(before: Tree, generation: int) -> bool:
    failed = [each for each in before.get("conditions") or [] if each["reason"] == "HelmFailed"]
    return bool(failed) and before.get("observedGeneration") == generation


def _summary(found: Tree) -> tuple[str, ...]:
    first = (found.get("conditions") or [{}])[0]
    state = found.get("state", "")
    return (state, first.get("status", ""), first.get("message", "") if state in _BAD else "")
