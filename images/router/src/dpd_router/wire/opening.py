"""New connections to engines."""

import asyncio

from dpd_router.errors import ConnectFailedError
from dpd_router.wire.callbacks import callbacks
from dpd_router.wire.connections import Connections
from dpd_router.wire.upstream import Upstream


async def opened(connections: Connections, host: str, port: int) -> Upstream:
    """Return a new connection, one of `connections` from now on. Raises ConnectFailedError."""
    connection = Upstream()
    try:
        async with asyncio.timeout(connections.connect_seconds):
            await asyncio.get_running_loop().create_connection(lambda: callbacks(connection), host, port)
    except (OSError, TimeoutError) as error:
        raise ConnectFailedError(f"{host}:{port}: {error or 'timed out'}") from None
    connections.add(connection, host, port)
    return connection
