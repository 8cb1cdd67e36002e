"""One process that answers for every pod, at its pod's own address of loopback, and notes who was asked when.

Usage: engines.py PORT FILE   a line `SECONDS ADDRESS` for each prompt, on the monotonic clock.

It needs nothing but Python and says nothing that costs more than the router under test.
"""

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

_HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_BODY = b'{"object":"chat.completion","choices":[]}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Engine(asyncio.Protocol):
    """One connection; requests come one after another, their bodies as long as their heads say."""

    def __init__(self, notes: TextIO) -> None:
        self._notes = notes
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._address = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while _END in self._buffer:
            head, _, rest = self._buffer.partition(_END)
            lines = head.lower().split(b"\r\n")
            length = next((int(each[len(_LENGTH) :]) for each in lines if each.startswith(_LENGTH)), 0)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(head.startswith(b"POST"))

    def _answer(self, is_prompt: bool) -> None:
        if is_prompt:
            self._notes.write(f"{time.monotonic():.6f} {self._address}\n")
        self._transport.write(_ANSWER if is_prompt else _HEALTHY)


async def serve(port: int, file: Path) -> None:
    """Answer until told to end."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Every address of loopback, and no other interface's.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listening.bind(("", port))
    with file.open("w", buffering=1) as notes:
        server = await asyncio.get_running_loop().create_server(lambda: Engine(notes), sock=listening, backlog=4096)
        print("ready", flush=True)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
