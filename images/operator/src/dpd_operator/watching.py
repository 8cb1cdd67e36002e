"""Watches of what the releases consist of, one thread for each kind: list, then follow, and list again when that ends.

The API server picks by label, so a cluster's other pods and ConfigMaps never come here.
"""

import http
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dpd_operator.core.kinds import DRAWN, POD, Kind
from dpd_operator.core.objects import OURS, Key, Tree, ref_of
from dpd_operator.seams import ApiError, Kube
from dpd_operator.store import Store

_AGAIN_SECONDS = 1.0
# A kind that the cluster does not serve may come with a later installation.
_ABSENT_SECONDS = 60.0
_PAGE = "500"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """What one thread watches: a kind, in one namespace or (empty) in all."""

    kind: Kind
    namespace: str

    @property
    def path(self) -> str:
        return self.kind.collection(self.namespace)


class Watches:
    """Keeps a store up to date and says which endpoints something happened to."""

    def __init__(
        self, kube: Kube, store: Store, changed: Callable[[Key], None], namespaces: Iterable[str] = ()
    ) -> None:
        """Take the API server, the store to fill, whom to tell, and the namespaces (none for the whole cluster)."""
        self._kube = kube
        self._store = store
        self._changed = changed
        self._stopped = threading.Event()
        places = tuple(namespaces) or ("",)
        targets = [_Target(kind, place) for kind in (*DRAWN, POD) for place in places if kind.is_namespaced]
        targets += [_Target(kind, "") for kind in DRAWN if not kind.is_namespaced]
        self._listed = {target: threading.Event() for target in targets}

    def start(self) -> None:
        """Begin; the threads end with the process, or when `stop` is called and their present answer ends."""
        for each in self._listed:
            threading.Thread(target=self._follow, args=(each,), name=f"watch-{each.kind.plural}", daemon=True).start()

    def stop(self) -> None:
        """Begin no further listing or watch."""
        self._stopped.set()

    def wait_until_listed(self) -> None:
        """Return when everything that is there has been seen, or `stop` was called."""
        for listed in self._listed.values():
            while not (listed.wait(0.1) or self._stopped.is_set()):
                pass

    def _follow(self, target: _Target) -> None:
        while not self._stopped.is_set():
            try:
                version = self._list(target)
                self._listed[target].set()
                self._watch(target, version)
            except ApiError as error:
                self._wait_after(target, error)

    def _wait_after(self, target: _Target, error: ApiError) -> None:
        if error.status == http.HTTPStatus.NOT_FOUND:
            self._listed[target].set()
            self._stopped.wait(_ABSENT_SECONDS)
            return
        if error.status != http.HTTPStatus.GONE:
            _LOG.warning("%s cannot be watched, trying again: %s", target.kind.plural, error)
        self._stopped.wait(_AGAIN_SECONDS)

    def _list(self, target: _Target) -> str:
        """Take everything that is there; return the version of the collection, to go on from."""
        kind, found = target.kind, list[Tree]()
        query = {"labelSelector": OURS, "limit": _PAGE}
        while True:
            page = self._kube.get(target.path, query)
            if page is None:
                raise ApiError(http.HTTPStatus.NOT_FOUND, f"{target.path}: not served")
            found += [{**each, "apiVersion": kind.api_version, "kind": kind.kind} for each in page["items"]]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                break
        for each in found:
            self._take(kind, each, is_gone=False)
        gone = self._store.keep_pods if kind is POD else self._store.keep_objects
        for key in gone(kind, target.namespace, map(ref_of, found)):
            self._changed(key)
        return str(page["metadata"]["resourceVersion"])

    def _watch(self, target: _Target, version: str) -> None:
        """Follow changes from `version` on; raises ApiError 410 when that is too long ago."""
        while not self._stopped.is_set():
            query = {"labelSelector": OURS, "resourceVersion": version, "allowWatchBookmarks": "true"}
            for event in self._kube.watch(target.path, query):
                version = self._heard(target.kind, event, version)

    def _heard(self, kind: Kind, event: dict[str, Any], version: str) -> str:
        body = event["object"]
        if event["type"] == "ERROR":
            raise ApiError(int(body.get("code", 0)), str(body.get("message", body)))
        if event["type"] != "BOOKMARK":
            self._take(kind, body, is_gone=event["type"] == "DELETED")
        return str(body["metadata"].get("resourceVersion", version))

    def _take(self, kind: Kind, body: Tree, *, is_gone: bool) -> None:
        put = self._store.put_pod if kind is POD else self._store.put_object
        key = put(body, is_gone=is_gone)
        if key is not None:
            self._changed(key)
