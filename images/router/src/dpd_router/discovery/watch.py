"""Pods of one selector, followed: a list says what there is, a watch from there says what changes.

Whatever happens to the API server, what was last known stays known. A watch that ends is taken up where it ended; when
the server does not go back that far (410), or says anything else than it should, everything is listed anew.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from dpd_router.discovery.api import ApiError, get
from dpd_router.discovery.pods import Pod, read_change, read_list, read_pod, read_trouble
from dpd_router.discovery.targets import Api

WATCH_SECONDS = 60  # then the server ends a watch, which proves that both sides are there
SILENCE_SECONDS = 90.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 15.0


@dataclass(slots=True)
class PodWatch:
    """Follows pods. `changed` is given all of them, by uid, after each change; `tell`, when the server is lost."""

    api: Api
    namespace: str
    selector: str
    changed: Callable[[Mapping[str, Pod]], None]
    tell: Callable[[str], None]
    heard: float | None = None
    relists: int = 0
    version: str = ""
    _pods: dict[str, Pod] = field(default_factory=dict)
    _pause: float = FIRST_PAUSE
    _lost: bool = False

    async def run(self, client: aiohttp.ClientSession) -> None:
        """Follow for ever."""
        while True:
            try:
                if not self.version:
                    await self._list(client)
                await self._watch(client)
            except Exception as trouble:  # noqa: BLE001 - whatever it is, a router that looks no more goes blind
                self._lose(trouble)
                await self._rest()
                self._pause = min(LONGEST_PAUSE, self._pause * 2)
            else:
                self._pause = FIRST_PAUSE
                await self._rest()

    async def _rest(self) -> None:
        """Wait a little; never as long as another router that lost the same server."""
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def _lose(self, trouble: Exception) -> None:
        if not self._lost:
            self.tell(f"pods {self.selector} are not heard of: {_words(trouble)}; what was known stays")
        self._lost = True
        match trouble:
            case OSError() | TimeoutError() | aiohttp.ClientError():
                return  # the connection failed: the watch may go on from where it was
        if self.version:
            self.tell(f"pods {self.selector} are listed anew: {trouble}")
        self.version = ""

    def _hear(self) -> None:
        self.heard = asyncio.get_running_loop().time()
        if self._lost:
            self._lost = False
            self.tell(f"pods {self.selector} are heard of again")

    async def _list(self, client: aiohttp.ClientSession) -> None:
        async with get(client, self.api, self._path, {"labelSelector": self.selector}, SILENCE_SECONDS) as answer:
            found = read_list(await answer.read())
        self.relists += 1
        self._pods = {pod.metadata.uid: pod for pod in found.items or ()}
        self.version = found.metadata.resource_version
        self._hear()
        self.changed(self._pods)

    async def _watch(self, client: aiohttp.ClientSession) -> None:
        query = {
            "labelSelector": self.selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with get(client, self.api, self._path, query, SILENCE_SECONDS) as answer:
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                self._hear()
                # All that came at once is taken before it is told: whoever is told looks at every pod.
                changes = [self._take(line) for line in lines]
                if any(changes):
                    self.changed(self._pods)

    def _take(self, line: bytes) -> bool:
        """Take one line; say whether it changed a pod."""
        if not line.strip():
            return False
        change = read_change(line)
        if change.type == "ERROR":
            trouble = read_trouble(change)
            raise ApiError(trouble.code, trouble.message or trouble.reason)
        pod = read_pod(change)
        self.version = pod.metadata.resource_version
        self._pause = FIRST_PAUSE
        if change.type in ("ADDED", "MODIFIED"):
            self._pods[pod.metadata.uid] = pod
        elif change.type == "DELETED":
            self._pods.pop(pod.metadata.uid, None)
        else:
            return False
        return True

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"


def _words(trouble: Exception) -> str:
    """Return what happened, and what helps where something can be done about it."""
    match trouble:
        case ApiError(status=401 | 403):
            remedy = "let the router's service account get, list and watch pods there, or set discovery.mode to dns"
            return f"{trouble}; {remedy}"
    return f"{type(trouble).__name__}: {trouble}"
