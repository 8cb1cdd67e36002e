"""What the watches have seen: endpoints, the objects of their releases, and their pods. Safe to use from any thread."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from dpd_operator.core.kinds import DEPLOYMENT, Kind
from dpd_operator.core.objects import Key, Ref, Tree, key_of, ref_of, release_of
from dpd_operator.core.planning import release_name
from dpd_operator.core.pods import PodFacts, facts_of

_Release = tuple[str, str]
_App = tuple[str, str]
# Kinds of whose status the endpoint's has something.
_TELLING = frozenset({DEPLOYMENT.kind, "Certificate", "CronJob", "Ingress", "Gateway"})


class Store:
    """The newest state of everything, by endpoint."""

    def __init__(self, namespace: str) -> None:
        """Take the namespace of all releases."""
        self._namespace = namespace
        self._lock = threading.Lock()
        self._endpoints: dict[Key, Tree] = {}
        self._keys: dict[_Release, Key] = {}
        self._objects: dict[_Release, dict[Ref, Tree]] = defaultdict(dict)
        self._apps: dict[_App, _Release] = {}
        self._pods: dict[_App, dict[str, PodFacts]] = defaultdict(dict)
        self._kinds: set[str] = set()

    def put_endpoint(self, body: Tree) -> Key:
        """Take an endpoint's newest state; return its key."""
        key = key_of(body)
        with self._lock:
            self._endpoints[key] = body
            self._keys[self._namespace, release_name(key)] = key
        return key

    def drop_endpoint(self, key: Key) -> None:
        """Forget an endpoint that is gone."""
        with self._lock:
            self._endpoints.pop(key, None)
            self._keys.pop((self._namespace, release_name(key)), None)

    def endpoint(self, key: Key) -> Tree | None:
        """Return an endpoint's newest state, or None when it is gone."""
        with self._lock:
            return self._endpoints.get(key)

    def endpoints(self) -> list[Key]:
        """Return the keys of all endpoints."""
        with self._lock:
            return list(self._endpoints)

    def put_object(self, body: Tree, *, is_gone: bool) -> Key | None:
        """Take the newest state of an object of a release; return the endpoint it belongs to, if that is known."""
        release, ref = release_of(body), ref_of(body)
        with self._lock:
            if is_gone:
                self._objects[release].pop(ref, None)
            else:
                self._objects[release][ref] = _kept(body)
            if ref.kind == DEPLOYMENT.kind:
                app = (body["spec"]["selector"].get("matchLabels") or {}).get("app", "")
                self._apps[ref.namespace, app] = release
            return self._keys.get(release)

    def keep_objects(self, kind: Kind, namespace: str, there: Iterable[Ref]) -> list[Key]:
        """Forget the objects of a kind that a full listing (of a namespace, or of all) no longer has; return whose."""
        alive = frozenset(there)
        with self._lock:
            self._kinds.add(f"{kind.api_version}/{kind.kind}")
            found = []
            for release, objects in self._objects.items():
                gone = [ref for ref in objects if _is_of(ref, kind, namespace) and ref not in alive]
                for ref in gone:
                    del objects[ref]
                if gone and release in self._keys:
                    found.append(self._keys[release])
            return found

    def put_pod(self, body: Tree, *, is_gone: bool) -> Key | None:
        """Take a pod's newest state; return the endpoint it belongs to, if that is known."""
        pod = facts_of(body)
        place = (pod.namespace, pod.app)
        with self._lock:
            if is_gone:
                self._pods[place].pop(pod.name, None)
                if not self._pods[place]:
                    del self._pods[place]
            else:
                self._pods[place][pod.name] = pod
            release = self._apps.get(place)
            return self._keys.get(release) if release else None

    def keep_pods(self, _: Kind, namespace: str, there: Iterable[Ref]) -> list[Key]:
        """Forget the pods that a full listing (of a namespace, or of all) no longer has; return whose they were."""
        alive = frozenset((each.namespace, each.name) for each in there)
        with self._lock:
            found = []
            for place, pods in list(self._pods.items()):
                gone = [name for name in pods if (place[0], name) not in alive] if namespace in ("", place[0]) else []
                for name in gone:
                    del pods[name]
                key = self._keys.get(self._apps.get(place, ("", "")))
                if gone and key is not None:
                    found.append(key)
            return found

    def objects(self, key: Key) -> Mapping[Ref, Tree]:
        """Return the objects of an endpoint's release as they are."""
        with self._lock:
            return MappingProxyType(dict(self._objects.get((self._namespace, release_name(key)), {})))

    def pods(self, key: Key) -> tuple[PodFacts, ...]:
        """Return the pods of an endpoint."""
        release = (self._namespace, release_name(key))
        with self._lock:
            places = [place for place, owner in self._apps.items() if owner == release]
            return tuple(pod for place in places for pod in self._pods.get(place, {}).values())

    def kinds(self) -> frozenset[str]:
        """Return the kinds (`apps/v1/Deployment`) of which everything has been seen."""
        with self._lock:
            return frozenset(self._kinds)


def _is_of(ref: Ref, kind: Kind, namespace: str) -> bool:
    return (ref.api_version, ref.kind) == (kind.api_version, kind.kind) and namespace in ("", ref.namespace)


def _kept(body: Tree) -> dict[str, Any]:
    """An object without what nobody here asks for, which is most of it."""
    metadata = {key: each for key, each in body["metadata"].items() if key != "managedFields"}
    status = {"status": body["status"]} if body["kind"] in _TELLING and "status" in body else {}
    return {
        **{key: each for key, each in body.items() if key not in ("metadata", "status")},
        "metadata": metadata,
        **status,
    }
