"""One endpoint, from what is stored to what runs: plan, install what is missing, report.

Every call looks at the whole state and needs to know nothing of earlier ones, so that it can be cut off anywhere and
begun again by another process.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dpd_operator.core import drift
from dpd_operator.core.objects import FINALIZER, Key, Ref, Tree, is_leaving, ref_of
from dpd_operator.core.planning import Plan, Planner, Refusal, release_name
from dpd_operator.core.release import Revision
from dpd_operator.core.roles import Role, given_up, not_made, roles
from dpd_operator.core.status import Stage
from dpd_operator.removal import Removal
from dpd_operator.reporter import Reporter, Step
from dpd_operator.seams import Cluster, HelmError, Installer
from dpd_operator.store import Store

_LOG = logging.getLogger(__name__)
# Differences that an upgrade did not remove (an admission webhook's, say): the object as it then was.
_Accepted = dict[Ref, Tree]


@dataclass(frozen=True, slots=True)
class Due:
    """Why a release is due an upgrade: objects that are gone, or odd (with what they say)."""

    reason: str
    gone: tuple[Ref, ...] = ()
    odd: Mapping[Ref, Tree] = field(default_factory=dict)


class Reconciler:
    """Brings endpoints to what their manifests say; one call at a time for each endpoint, any number of endpoints."""

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        helm: Installer,
        planner: Planner,
        reporter: Reporter,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what it works with."""
        self._store = store
        self._cluster = cluster
        self._helm = helm
        self._planner = planner
        self._reporter = reporter
        self._clock = clock
        self._removal = Removal(store, cluster, helm, reporter)
        self._accepted: dict[Key, _Accepted] = {}

    def reconcile(self, key: Key) -> float | None:
        """Do what an endpoint is due. Returns the seconds until it wants to be looked at again, None for whenever.

        Raises HelmError or ApiError when it should be tried again.
        """
        body = self._store.endpoint(key)
        if body is None:
            self._accepted.pop(key, None)
            self._reporter.forget(key)
            return None
        if is_leaving(body):
            self._removal.remove(key, body)
            return None
        if FINALIZER not in (body["metadata"].get("finalizers") or []):
            self._cluster.hold(body)
        plan = self._planner.plan(body)
        if isinstance(plan, Refusal):
            return self._refuse(body, plan)
        return self._bring(body, plan)

    def _refuse(self, body: Tree, refusal: Refusal) -> float | None:
        """Say what is wrong; what runs keeps running."""
        installed = self._installed(refusal.key)
        found = self._roles(refusal.key, installed) if installed else ()
        return self._reporter.report(body, Step(Stage.REFUSED, words=refusal.problems), found)

    def _bring(self, body: Tree, plan: Plan) -> float | None:
        stored = self._cluster.revisions(plan.release)
        current = _deployed(stored)
        due = self._due(plan, stored, current)
        if due is not None:
            self._say_applying(body, plan, current, due)
            current = self._apply(body, plan, stored)
            self._accept(plan.key, due)
        found = self._roles(plan.key, current)
        return self._reporter.report(body, Step(Stage.APPLIED, warnings=plan.warnings), found)

    def _due(self, plan: Plan, stored: tuple[Revision, ...], current: Revision | None) -> Due | None:
        if current is None or stored[-1] is not current:
            return Due("the last installation did not come to its end" if stored else "the chart is being installed")
        if current.digest != plan.digest:
            return Due("the chart is being installed anew")
        live = self._store.objects(plan.key)
        gone = [
            each for each in drift.missing(current.objects, live, self._store.kinds()) if not self._cluster.find(each)
        ]
        if gone:
            return Due("missing, and being made again", tuple(gone))
        accepted = self._accepted.get(plan.key, {})
        odd = [each for each in drift.changed(current.objects, live) if accepted.get(each) != _essence(live[each])]
        # What the watches saw may be older than what Helm has just written.
        fresh = {each: found for each in odd if (found := self._cluster.find(each))}
        changed = drift.changed(current.objects, fresh)
        if not changed:
            return None
        essences = {each: _essence(fresh[each]) for each in changed}
        return Due("changed by somebody else, and being put right", odd=essences)

    def _say_applying(self, body: Tree, plan: Plan, current: Revision | None, due: Due) -> None:
        if due.gone or due.odd:
            named = ", ".join(map(str, (*due.gone, *due.odd)))
            _LOG.info("%s: %s: %s", plan.key, due.reason, named)
            self._cluster.tell(body, "Warning", "Repaired", f"{named}: {due.reason}")
        else:
            _LOG.info("%s: %s", plan.key, due.reason)
        found = self._roles(plan.key, current) if current else _expected(plan)
        self._reporter.report(body, Step(Stage.APPLYING, words=(due.reason,), warnings=plan.warnings), found)

    def _apply(self, body: Tree, plan: Plan, stored: tuple[Revision, ...]) -> Revision:
        current = _deployed(stored)
        try:
            if stored:
                self._prepare(plan, stored, self._helm.render(plan))
            self._helm.upgrade(plan)
        except HelmError as error:
            found = self._roles(plan.key, current) if current else _expected(plan)
            self._reporter.report(body, Step(Stage.FAILED, words=(str(error),), warnings=plan.warnings), found)
            raise
        made = _deployed(self._cluster.revisions(plan.release))
        if made is None:
            raise HelmError(f"helm upgrade: {plan.release} has no deployed revision although Helm reported success")
        return made

    def _prepare(self, plan: Plan, stored: tuple[Revision, ...], drawn: tuple[Tree, ...]) -> None:
        """Make room for the next revision, whose objects are `drawn`.

        What only unfinished revisions have is removed, then the records of pending ones: being cut off anywhere loses
        nothing, because a record goes only when its objects did. Deployments that an autoscaler is to own from now on
        keep the size they have: Helm gives the field up, and one pod would be left.
        """
        current = _deployed(stored)
        known = current.objects if current else ()
        unfinished = [each for each in stored if current is None or each.number > current.number]
        doubtful = frozenset[Ref]().union(*(each.refs for each in unfinished))
        self._cluster.remove(sorted(doubtful - set(map(ref_of, (*known, *drawn)))), plan.release)
        for each in unfinished:
            if each.is_pending:
                self._cluster.forget(each)
        for ref in given_up(known, drawn):
            self._cluster.keep_size(ref)

    def _accept(self, key: Key, due: Due) -> None:
        """Remember what an upgrade was to put right and did not: another one would not either."""
        accepted = self._accepted.setdefault(key, {})
        for ref, before in due.odd.items():
            found = self._cluster.find(ref)
            if found is not None and _essence(found) == before:
                _LOG.warning("%s: %s stays as somebody else has it", key, ref)
                accepted[ref] = before

    def _installed(self, key: Key) -> Revision | None:
        return _deployed(self._cluster.revisions(release_name(key)))

    def _roles(self, key: Key, current: Revision | None) -> tuple[Role, ...]:
        objects = current.objects if current else ()
        return roles(objects, self._store.objects(key), self._store.pods(key))


def _deployed(stored: tuple[Revision, ...]) -> Revision | None:
    return next((each for each in reversed(stored) if each.is_deployed), None)


def _expected(plan: Plan) -> tuple[Role, ...]:
    router = ["router"] if plan.endpoint.has_router else []
    return not_made([*(each.name for each in plan.endpoint.roles), *router])


def _essence(body: Tree) -> dict[str, Any]:
    return {key: each for key, each in body.items() if key not in ("metadata", "status")}
