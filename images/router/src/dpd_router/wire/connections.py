"""Connections to engines, kept for reuse while they are surely still open on the other side.

An engine closes an idle connection after its own keep-alive (uvicorn: 5 s). One that is reused just then swallows the
request, and a request that may have been received is not sent again: so only the young ones are reused.
"""

import asyncio

from dpd_router.wire.upstream import Upstream


class Connections:
    """Idle connections by address. `keep_alive` is how long, in seconds, an idle one is good for."""

    def __init__(self, keep_alive: float, connect_seconds: float) -> None:
        self._keep_alive = keep_alive
        self.connect_seconds = connect_seconds
        self._idle: dict[tuple[str, int], list[Upstream]] = {}
        self._open: set[Upstream] = set()

    def kept(self, host: str, port: int) -> Upstream | None:
        """Return an idle connection that is surely still open on the other side, None when there is none."""
        idle = self._idle.get((host, port))
        while idle:
            connection = idle.pop()  # the one used last is the youngest
            if connection.usable and connection.now() - connection.idle_since < self._keep_alive:
                return connection
            self._drop(connection)
        return None

    def add(self, connection: Upstream, host: str, port: int) -> None:
        """Take a new connection in; it is in use."""
        connection.key = (host, port)
        self._open.add(connection)

    def release(self, connection: Upstream) -> None:
        """Take a connection back after its exchange; one that ended badly is closed."""
        if connection.usable:
            self._idle.setdefault(connection.key, []).append(connection)
        else:
            self._drop(connection)

    def expire(self) -> None:
        """Close what has been idle for too long; to be called now and then."""
        now = asyncio.get_running_loop().time()
        for key, idle in list(self._idle.items()):
            young = []
            for connection in idle:
                if connection.usable and now - connection.idle_since < self._keep_alive:
                    young.append(connection)
                else:
                    self._drop(connection)
            if young:
                self._idle[key] = young
            else:
                del self._idle[key]

    def count(self) -> int:
        """Return how many connections are open, idle ones included."""
        return len(self._open)

    def close(self) -> None:
        """Close every connection, busy ones too."""
        for connection in list(self._open):
            connection.abort()
        self._open.clear()
        self._idle.clear()

    def _drop(self, connection: Upstream) -> None:
        self._open.discard(connection)
        connection.close()
