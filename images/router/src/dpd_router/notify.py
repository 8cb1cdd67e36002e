"""The socket on which prefillers report finished transfers. It is always read: a full one would block every sender."""

import asyncio
from contextlib import suppress

import msgspec
import zmq
import zmq.asyncio


class _Notif(msgspec.Struct, tag_field="type", tag="ProxyNotif"):
    """One rank's word that it has written the last page of a transfer."""

    req_id: str


class _Count:
    """Notices of one transfer, and who waits for how many."""

    __slots__ = ("came", "enough", "wanted")

    def __init__(self) -> None:
        self.came = 0
        self.wanted = 0
        self.enough = asyncio.Event()


class NoticeBoard:
    """Binds a ZMQ PULL socket and counts notices per transfer. `unknown` counts those nobody expected any more."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket = self._context.socket(zmq.PULL)
        self._reader: asyncio.Task[None] | None = None
        self._decoder = msgspec.msgpack.Decoder(_Notif)
        self.unknown = 0
        self.port = 0

    def open(self, host: str, port: int) -> int:
        """Bind and begin to read; port 0 takes a free one. Return the port. Raises OSError when it is taken."""
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        if ":" in host:
            self._socket.setsockopt(zmq.IPV6, 1)
            host = f"[{host}]"
        try:
            self._socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"notices on {host}:{port}: {error.strerror}") from None
        endpoint: bytes = self._socket.getsockopt(zmq.LAST_ENDPOINT)  # type: ignore[assignment]
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self.port = int(endpoint.rpartition(b":")[2])
        return self.port

    async def close(self) -> None:
        """Stop reading and free the port."""
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        self._socket.close(0)
        self._context.term()

    def expect(self, transfer_id: str) -> None:
        """Begin to count notices of a transfer."""
        self._counts[transfer_id] = _Count()

    async def arrived(self, transfer_id: str, count: int, seconds: float) -> bool:
        """Wait for `count` notices, `seconds` at most; say whether they came."""
        entry = self._counts[transfer_id]
        if entry.came >= count:
            return True
        entry.wanted = count
        try:
            async with asyncio.timeout(seconds):
                await entry.enough.wait()
        except TimeoutError:
            return False
        return True

    def forget(self, transfer_id: str) -> None:
        """Stop counting."""
        self._counts.pop(transfer_id, None)

    async def _read(self) -> None:
        while True:
            self._take(await self._socket.recv())

    def _take(self, message: bytes) -> None:
        try:
            transfer_id = self._decoder.decode(message).req_id
        except msgspec.MsgspecError:
            self.unknown += 1
            return
        entry = self._counts.get(transfer_id)
        if entry is None:
            self.unknown += 1
            return
        entry.came += 1
        if entry.wanted and entry.came >= entry.wanted:
            entry.enough.set()
