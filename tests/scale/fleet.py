"""Many endpoints of one cluster, as whoever applies them and a watch of their statuses see them."""

import copy
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from kubernetes import config

from cluster.kubectl import Kubectl
from dpd_operator.core.objects import GROUP, OURS, PLURAL, VERSION, Key, Tree, key_of
from dpd_operator.kube import ApiServer
from dpd_operator.seams import ApiError
from support.paths import ROOT

_ALL = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
_EXAMPLE = ROOT / "examples/quickstart.yaml"
_NAMESPACES = 10
_PAUSE_SECONDS = 0.1
TURN = "TURN"
# A node of eight takes eight workers.
_ONE_GPU = {
    "requests": {"cpu": "100m", "memory": "512Mi", "nvidia.com/gpu": "1"},
    "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"},
}


class Fleet:
    """Endpoints by number, and when each generation of them was complete."""

    def __init__(self, plane: Kubectl, count: int) -> None:
        """Make the namespaces of so many endpoints."""
        self._kube = ApiServer(config.new_client_from_config(str(plane.kubeconfig)))
        self.keys = [Key(f"team-{number % _NAMESPACES}", f"chat-{number:03}") for number in range(count)]
        self.asked: dict[Key, tuple[int, float]] = {}
        self._complete: dict[tuple[Key, int], float] = {}
        self._gone: dict[Key, float] = {}
        self._ended = threading.Event()
        self._example = yaml.safe_load(_EXAMPLE.read_text(encoding="utf-8"))
        for each in sorted({key.namespace for key in self.keys}):
            self._kube.create("/api/v1/namespaces", {"metadata": {"name": each}})

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Follow the statuses while the block runs."""
        version = (self._kube.get(_ALL) or {})["metadata"]["resourceVersion"]
        following = threading.Thread(target=self._follow, args=(version,), daemon=True)
        following.start()
        try:
            yield
        finally:
            self._ended.set()

    def create(self, key: Key) -> None:
        """Store an endpoint for the first time."""
        body = self._document(key, turn=0)
        self._asked(key, self._kube.create(_path(Key(key.namespace, "")).rstrip("/"), body))

    def edit(self, key: Key, turn: int) -> None:
        """Change what its workers run with; `turn` is to be read in every one of their pods."""
        self._asked(key, self._kube.merge(_path(key), {"spec": self._document(key, turn)["spec"]}))

    def delete(self, key: Key) -> None:
        """Ask for its end."""
        self.asked[key] = (0, time.monotonic())
        self._kube.delete(_path(key))

    def until_complete(self, keys: Iterable[Key], patience_seconds: float, complaint: Callable[[], str]) -> list[float]:
        """Wait until each one's last generation is complete; return the seconds that took. Raises TimeoutError."""
        wanted = [(key, self.asked[key][0]) for key in keys]
        _wait(lambda: [each for each in wanted if each not in self._complete], patience_seconds, complaint)
        return [self._complete[key, generation] - self.asked[key][1] for key, generation in wanted]

    def until_gone(self, keys: Iterable[Key], patience_seconds: float, complaint: Callable[[], str]) -> list[float]:
        """Wait until none of them is stored any more; return the seconds that took. Raises TimeoutError."""
        wanted = list(keys)
        _wait(lambda: [each for each in wanted if each not in self._gone], patience_seconds, complaint)
        return [self._gone[key] - self.asked[key][1] for key in wanted]

    def lost(self, turn: int) -> list[str]:
        """Return a line for each endpoint whose status or Deployments are not those of its last edit."""
        stored = {key_of(each): each for each in (self._kube.get(_ALL) or {})["items"]}
        listed = (self._kube.get("/apis/apps/v1/deployments", {"labelSelector": OURS}) or {})["items"]
        running = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in listed}
        return [line for key in self.keys for line in _lost(key, turn, stored[key], running)]

    def left(self) -> list[str]:
        """Return what is there of any endpoint: what charts draw, and Helm's records."""
        kinds = ("apps/v1/deployments", "v1/services", "v1/configmaps", "v1/serviceaccounts")
        more = ("policy/v1/poddisruptionbudgets", "networking.k8s.io/v1/networkpolicies", "v1/secrets")
        rights = ("rbac.authorization.k8s.io/v1/roles", "rbac.authorization.k8s.io/v1/rolebindings")
        found = [
            f"{kind} {each['metadata']['namespace']}/{each['metadata']['name']}"
            for kind in (*kinds, *more, *rights)
            for each in (self._kube.get(_collection(kind), {"labelSelector": OURS}) or {})["items"]
        ]
        records = (self._kube.get("/api/v1/secrets", {"labelSelector": "owner=helm,name!=dpd-operator"}) or {})["items"]
        return [*found, *(f"record {each['metadata']['name']}" for each in records)]

    def _document(self, key: Key, turn: int) -> dict[str, Any]:
        found: dict[str, Any] = copy.deepcopy(self._example)
        found["metadata"].update(name=key.name, namespace=key.namespace)
        spec = found["spec"]
        spec["worker"]["environmentVariables"].append({"name": TURN, "value": str(turn)})
        spec["pdSpec"]["decodingSpec"]["replicas"] = replicas(turn)
        for each in (spec["worker"], *spec["pdSpec"].values()):
            if isinstance(each, dict):
                each["resources"] = _ONE_GPU
        args = spec["worker"]["args"]
        args[args.index("--tensor-parallel-size") + 1] = "1"
        return found

    def _asked(self, key: Key, stored: Tree) -> None:
        self.asked[key] = (stored["metadata"]["generation"], time.monotonic())

    def _follow(self, version: str) -> None:
        while not self._ended.is_set():
            try:
                for event in self._kube.watch(_ALL, {"resourceVersion": version, "allowWatchBookmarks": "true"}):
                    version = self._heard(event, version)
            except ApiError:
                self._ended.wait(_PAUSE_SECONDS)

    def _heard(self, event: Tree, version: str) -> str:
        body, now = event["object"], time.monotonic()
        if event["type"] in ("ADDED", "MODIFIED"):
            status, generation = body.get("status") or {}, body["metadata"]["generation"]
            if (status.get("state"), status.get("observedGeneration")) == ("DeploymentComplete", generation):
                self._complete.setdefault((key_of(body), generation), now)
        elif event["type"] == "DELETED":
            self._gone[key_of(body)] = now
        return str(body["metadata"].get("resourceVersion", version))


def replicas(turn: int) -> int:
    """Return how many decoders an endpoint is to have at a turn."""
    return 1 + turn % 2


def _lost(key: Key, turn: int, stored: Tree, running: dict[tuple[str, str], Tree]) -> Iterator[str]:
    if stored["status"]["observedGeneration"] != stored["metadata"]["generation"]:
        yield f"{key}: its status is about generation {stored['status']['observedGeneration']}"
    for role in ("prefill", "decode"):
        found = running.get((key.namespace, f"{role}-{key.name}"))
        if found is None:
            yield f"{key}: has no Deployment for {role}"
            continue
        variables = found["spec"]["template"]["spec"]["containers"][0]["env"]
        turns = [each["value"] for each in variables if each["name"] == TURN]
        if turns != [str(turn)]:
            yield f"{key}: {role} runs with turn {turns}, and {turn} was the last"
        wanted = replicas(turn) if role == "decode" else 1
        if found["status"].get("readyReplicas") != wanted:
            yield f"{key}: {role} has {found['status'].get('readyReplicas')} pods ready, and {wanted} were asked for"


def _wait(missing: Callable[[], list[Any]], patience_seconds: float, complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + patience_seconds
    while still := missing():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(still)} endpoints are not there yet, such as {still[0]}\n{complaint()}")
        time.sleep(_PAUSE_SECONDS)


def _path(key: Key) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"


def _collection(kind: str) -> str:
    return f"/{'api' if kind.startswith('v1/') else 'apis'}/{kind}"
