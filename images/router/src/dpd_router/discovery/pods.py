"""Pods as the API server tells of them, and what the router makes of one: address, life, revision, ready or not."""

import msgspec

REVISION = "inference.sagemaker.aws.amazon.com/dpd-revision"
ENGINE = "kubectl.kubernetes.io/default-container"


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    restart_count: int = 0


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    conditions: list[_Condition] = []
    container_statuses: list[_Container] = []


class Pod(msgspec.Struct):
    """What is read of a pod; everything else in it is passed over."""

    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def address(self) -> str:
        """Return the pod's IP address, empty while it has none or when it has ended."""
        return "" if self.status.phase in ("Succeeded", "Failed") else self.status.pod_ip

    @property
    def life(self) -> str:
        """Return what names this life of the engine: the pod, and how often its container has begun anew in it."""
        engine = self.metadata.annotations.get(ENGINE)
        statuses = self.status.container_statuses
        restarts = sum(each.restart_count for each in statuses if engine is None or each.name == engine)
        return f"{self.metadata.uid}.{restarts}"

    @property
    def revision(self) -> str | None:
        """Return the revision its chart gave it, None when it has none."""
        return self.metadata.labels.get(REVISION)

    @property
    def serving(self) -> bool:
        """Say whether it may be given requests: it is ready, and nobody has asked it to leave."""
        ready = any(each.type == "Ready" and each.status == "True" for each in self.status.conditions)
        return ready and self.metadata.deletion_timestamp is None


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class PodList(msgspec.Struct):
    """The answer to a list."""

    metadata: _ListMeta
    items: list[Pod] | None = None


class Change(msgspec.Struct):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and what it is about."""

    type: str
    object: msgspec.Raw


class Trouble(msgspec.Struct):
    """What an ERROR is about."""

    code: int = 0
    reason: str = ""
    message: str = ""


def read_list(text: bytes) -> PodList:
    """Return a list of pods. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=PodList)


def read_change(line: bytes) -> Change:
    """Return one line of a watch. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(line, type=Change)


def read_pod(change: Change) -> Pod:
    """Return the pod a change is about; of a bookmark, one with nothing but its resource version."""
    return msgspec.json.decode(change.object, type=Pod)


def read_trouble(change: Change) -> Trouble:
    """Return what an ERROR says."""
    return msgspec.json.decode(change.object, type=Trouble)
