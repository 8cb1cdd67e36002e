"""The cluster in the reconciler's words, over plain requests."""

import http
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dpd_operator.core.kinds import kind_of
from dpd_operator.core.objects import (
    FINALIZER,
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    Key,
    Ref,
    Tree,
    is_leaving,
    key_of,
    release_of,
)
from dpd_operator.core.release import Revision, revisions
from dpd_operator.seams import ApiError, Kube

_LONGEST_MESSAGE = 1024
# So often is a write tried that somebody else's comes in between of; after that it is a matter for later.
_ATTEMPTS = 5
_LOG = logging.getLogger(__name__)


class KubeCluster:
    """Endpoints, the objects of their releases, and Helm's records in the controller's own namespace."""

    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        """Take the API server, the namespace of all releases, and who we are in events."""
        self._kube = kube
        self._namespace = namespace
        self._identity = identity

    def revisions(self, release: str) -> tuple[Revision, ...]:
        """Return the stored revisions of a release, oldest first."""
        query = {"labelSelector": f"owner=helm,name={release}"}
        found = self._kube.get(self._records, query) or {"items": []}
        return revisions(found["items"])

    def forget(self, revision: Revision) -> None:
        """Delete the record of one revision."""
        self._kube.delete(f"{self._records}/{revision.record}")

    def find(self, ref: Ref) -> dict[str, Any] | None:
        """Return an object as it is now, or None."""
        kind = kind_of(ref)
        if kind is None:
            return None
        found = self._kube.get(kind.path(ref.namespace, ref.name))
        # A single object does not always carry its own kind.
        return {**found, "apiVersion": ref.api_version, "kind": ref.kind} if found else None

    def remove(self, refs: Sequence[Ref], release: str) -> None:
        """Delete those of the objects that belong to the release and are still there."""
        for ref in refs:
            kind, found = kind_of(ref), self.find(ref)
            if kind is None or found is None or is_leaving(found):
                continue
            if release_of(found) == (self._namespace, release):
                _LOG.info("removing %s, which release %s no longer has", ref, release)
                self._kube.delete(kind.path(ref.namespace, ref.name))

    def keep_size(self, ref: Ref) -> None:
        """Hold a Deployment at the size it has when nobody else says one; nothing happens when there is none."""
        kind, found = kind_of(ref), self.find(ref)
        if kind is not None and found is not None:
            place = {"name": ref.name, "namespace": ref.namespace}
            spec = {"replicas": found["spec"]["replicas"]}
            body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": place, "spec": spec}
            self._kube.apply(kind.path(ref.namespace, ref.name), body)

    def write_status(self, key: Key, status: Tree) -> None:
        """Write the status of an endpoint; nothing happens when the endpoint is gone."""
        self._leniently(lambda: self._kube.put_part(f"{_endpoint(key)}/status", "/status", status))

    def hold(self, body: Tree) -> None:
        """Let an endpoint not vanish before we let it go; nothing happens when it is gone or another one by now."""
        self._write_finalizers(body, lambda found: [*found, FINALIZER])

    def let_go(self, body: Tree) -> None:
        """Let an endpoint vanish; nothing happens when it is gone or another one by now."""
        self._write_finalizers(body, lambda found: [each for each in found if each != FINALIZER])

    def tell(self, body: Tree, kind: str, reason: str, message: str) -> None:
        """Record an event about an endpoint; one that cannot be recorded is let go."""
        key, now = key_of(body), datetime.now(UTC)
        about = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "namespace": key.namespace, "name": key.name}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{key.name}.{uuid.uuid4().hex[:16]}", "namespace": key.namespace},
            "involvedObject": {**about, "uid": body["metadata"].get("uid", "")},
            "type": kind,
            "reason": reason,
            "message": message[:_LONGEST_MESSAGE],
            "source": {"component": "dpd-operator", "host": self._identity[:128]},
            "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "count": 1,
        }
        try:
            self._kube.create(f"/api/v1/namespaces/{key.namespace}/events", event)
        except ApiError as error:
            _LOG.warning("%s: the event %s was not recorded: %s", key, reason, error)

    @property
    def _records(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets"

    def _write_finalizers(self, body: Tree, changed: Callable[[list[str]], list[str]]) -> None:
        """Others write finalizers too: read, change, and write over that very version, or begin again."""
        path = _endpoint(key_of(body))
        for left in reversed(range(_ATTEMPTS)):
            found = self._kube.get(path)
            if found is None or found["metadata"]["uid"] != body["metadata"]["uid"]:
                return
            finalizers = changed(list(found["metadata"].get("finalizers") or []))
            version = found["metadata"]["resourceVersion"]
            patch = {"metadata": {"finalizers": finalizers, "resourceVersion": version}}
            try:
                self._leniently(partial(self._kube.merge, path, patch))
            except ApiError as error:
                if error.status != http.HTTPStatus.CONFLICT or not left:
                    raise
            else:
                return

    def _leniently(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise


def _endpoint(key: Key) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
