"""Beside discovery's step: an API server that only tells of pods, and engines that only answer, on one loop.

Every pod has an address of its own, 127.1.x.y, so that the router's checks and requests reach what it found. Pods are
as large on the wire as those of a chart; events of a watch that are there at once are sent at once.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SPEC_BYTES = 4096
_ANSWER = b'{"id":"c","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Engine(asyncio.Protocol):
    """Answers every request with the same few bytes, whatever it asks for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._transport: Any = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._seen += data
        while (end := self._seen.find(b"\r\n\r\n")) >= 0:
            head = self._seen[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self._seen) < end + 4 + length:
                return
            self._seen = self._seen[end + 4 + length :]
            self._transport.write(_HEAD % len(_ANSWER) + _ANSWER)


@dataclass
class Cluster:
    """Pods by name, and who watches them."""

    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    watchers: list["asyncio.Queue[bytes]"] = field(default_factory=list)
    version: int = 1
    told: int = 0

    def tell(self, kind: str, pod: dict[str, Any]) -> None:
        """Change a pod: ADDED, MODIFIED or DELETED."""
        self.version += 1
        self.told += 1
        name = pod["metadata"]["name"]
        pod["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.pods.pop(name, None)
        else:
            self.pods[name] = pod
        line = json.dumps({"type": kind, "object": pod}).encode() + b"\n"
        for each in self.watchers:
            each.put_nowait(line)

    def replace(self, old: str, new: str, address: str) -> None:
        """Let one pod leave and another take its place, in the four steps that a cluster does it in."""
        leaving = self.pods[old]
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.tell("MODIFIED", leaving)
        self.tell("ADDED", pod(new, "", ready=False))
        self.tell("MODIFIED", pod(new, address, ready=True))
        self.tell("DELETED", leaving)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List pods, or watch them."""
        if "watch" not in request.query:
            found = {"metadata": {"resourceVersion": str(self.version)}, "items": list(self.pods.values())}
            return web.json_response(found)
        stream = web.StreamResponse()
        await stream.prepare(request)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.watchers.append(lines)
        try:
            while True:
                line = await lines.get()
                while not lines.empty():
                    line += lines.get_nowait()
                await stream.write(line)
        finally:
            self.watchers.remove(lines)


def pod(name: str, address: str, *, ready: bool) -> dict[str, Any]:
    """Return a pod of the endpoint."""
    return {
        "metadata": {"name": name, "uid": name, "labels": {"app": "e"}, "annotations": {}},
        "spec": {"containers": [{"name": "engine", "env": [{"name": "FILL", "value": "x" * SPEC_BYTES}]}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "engine", "restartCount": 0}],
        },
    }


def address(number: int) -> str:
    """Return the address of a pod's number."""
    return f"127.1.{number >> 8}.{number & 255}"


@asynccontextmanager
async def serving(
    cluster: Cluster, ports: tuple[int, int], hosts: Sequence[str], certificate: ssl.SSLContext
) -> AsyncIterator[None]:
    """Run the API server at the first port and engines at the second one of every host until the block ends."""
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/default/pods", cluster.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", ports[0], ssl_context=certificate).start()
    engines = await asyncio.get_running_loop().create_server(Engine, list(hosts), ports[1])
    try:
        yield
    finally:
        engines.close()
        await runner.cleanup()
