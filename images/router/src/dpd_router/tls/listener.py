"""A listening socket for TLS and plain HTTP at once.

Whatever comes in is looked at and not taken: the first byte of a TLS handshake is 0x16, which no HTTP request begins
with. Then the event loop's own transports take over, so that a byte more or less costs nothing afterwards.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

Make = Callable[[], asyncio.Protocol]
_HANDSHAKE = 0x16
_AT_ONCE = 64
_SHUTDOWN_SECONDS = 2.0
_PAUSE_SECONDS = 1.0
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """`encrypted` and `plain` make the protocol of a connection; `context` gives the certificate in use, if any.

    A client has `handshake_seconds` for its handshake and `idle_seconds` to say anything at all; `room` says how many
    more connections may come in.
    """

    def __init__(
        self,
        encrypted: Make,
        plain: Make,
        context: Callable[[], ssl.SSLContext | None],
        times: tuple[float, float],
        room: Callable[[], int],
    ) -> None:
        self._encrypted = encrypted
        self._plain = plain
        self._context = context
        self._handshake_seconds, self._idle_seconds = times
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, float] = {}
        self._tasks: dict[asyncio.Task[None], socket.socket] = {}
        self._socket: socket.socket | None = None

    @property
    def waiting(self) -> int:
        """Count connections that are not yet anybody's."""
        return len(self._silent) + len(self._tasks)

    def open(self, host: str, port: int, backlog: int) -> int:
        """Listen, and return the port. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = made = socket.create_server((host, port), family=family, backlog=backlog)
        made.setblocking(False)
        self._loop.add_reader(made, self._accept)
        return int(made.getsockname()[1])

    def close(self) -> None:
        """Take no more connections; those that have said nothing yet are closed, handshakes go on."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for sock in list(self._silent):
            self._drop(sock)

    async def closed(self) -> None:
        """Break handshakes off, and wait until they have ended."""
        for sock in self._tasks.values():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # uvloop would go on with a handshake whose task is cancelled
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expire(self, now: float) -> None:
        """Close what has been silent for too long; to be called now and then."""
        for sock, since in list(self._silent.items()):
            if now - since > self._idle_seconds:
                self._drop(sock)

    def _accept(self) -> None:
        if self._socket is None:
            return
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._pause()
                return
            if self._room() <= self.waiting:
                sock.close()
                continue
            sock.setblocking(False)
            self._silent[sock] = self._loop.time()
            self._loop.add_reader(sock, self._look, sock)

    def _pause(self) -> None:
        """Rest for a moment: out of descriptors, the socket would be readable without end."""
        assert self._socket is not None
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._accept)

    def _look(self, sock: socket.socket) -> None:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first:
            self._drop(sock)
            return
        self._loop.remove_reader(sock)
        del self._silent[sock]
        task = self._loop.create_task(self._take(sock, encrypted=first[0] == _HANDSHAKE))
        self._tasks[task] = sock
        task.add_done_callback(self._tasks.pop)

    async def _take(self, sock: socket.socket, *, encrypted: bool) -> None:
        context = self._context() if encrypted else None
        try:
            if context is None:
                await self._loop.connect_accepted_socket(self._plain, sock)
            else:
                await self._loop.connect_accepted_socket(
                    self._encrypted,
                    sock,
                    ssl=context,
                    ssl_handshake_timeout=self._handshake_seconds,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                )
        except (OSError, TimeoutError):
            sock.close()  # whoever speaks no TLS after all has no use for an answer

    def _drop(self, sock: socket.socket) -> None:
        self._silent.pop(sock, None)
        self._loop.remove_reader(sock)
        sock.close()
