"""Watches of what the releases consist of, one thread for each kind: list, then follow, and list again when that ends.

The API server picks by label, so a cluster's other pods and ConfigMaps never come here.
"""

import http
import logging
import threading
from collections.abc import Callable
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


class Watches:
    """Keeps a store up to date and says which endpoints something happened to."""

    def __init__(self, kube: Kube, store: Store, changed: Callable[[Key], None]) -> None:
        """Take the API server, the store to fill, and whom to tell."""
        self._kube = kube
        self._store = store
        self._changed = changed
        self._stopped = threading.Event()
        self._listed = {kind: threading.Event() for kind in (*DRAWN, POD)}

    def start(self) -> None:
        """Begin; the threads end with the process, or when `stop` is called and their present answer ends."""
        for kind in self._listed:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch-{kind.plural}", daemon=True).start()

    def stop(self) -> None:
        """Begin no further listing or watch."""
        self._stopped.set()

    def wait_until_listed(self) -> None:
        """Return when everything that is there has been seen, or `stop` was called."""
        for listed in self._listed.values():
            while not (listed.wait(0.1) or self._stopped.is_set()):
                pass

    def _follow(self, kind: Kind) -> None:
        while not self._stopped.is_set():
            try:
                version = self._list(kind)
                self._listed[kind].set()
                self._watch(kind, version)
            except ApiError as error:
                self._wait_after(kind, error)

    def _wait_after(self, kind: Kind, error: ApiError) -> None:
        if error.status == http.HTTPStatus.NOT_FOUND:
            self._listed[kind].set()
            self._stopped.wait(_ABSENT_SECONDS)
            return
        if error.status != http.HTTPStatus.GONE:
            _LOG.warning("%s cannot be watched, trying again: %s", kind.plural, error)
        self._stopped.wait(_AGAIN_SECONDS)

    def _list(self, kind: Kind) -> str:
        found: list[Tree] = []
        query = {"labelSelector": OURS, "limit": _PAGE}
        while True:
            page = self._kube.get(kind.everywhere, query)
            if page is None:
                raise ApiError(http.HTTPStatus.NOT_FOUND, f"{kind.everywhere}: not served")
            found += [{**each, "apiVersion": kind.api_version, "kind": kind.kind} for each in page["items"]]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                break
        for each in found:
            self._take(kind, each, is_gone=False)
        if kind is POD:
            self._store.keep_pods((each["metadata"]["namespace"], each["metadata"]["name"]) for each in found)
        else:
            for key in self._store.keep_objects(kind.kind, kind.api_version, map(ref_of, found)):
                self._changed(key)
        return str(page["metadata"]["resourceVersion"])

    def _watch(self, kind: Kind, version: str) -> None:
        """Follow changes from `version` on; raises ApiError 410 when that is too long ago."""
        while not self._stopped.is_set():
            query = {"labelSelector": OURS, "resourceVersion": version, "allowWatchBookmarks": "true"}
            for event in self._kube.watch(kind.everywhere, query):
                version = self._heard(kind, event, version)

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
