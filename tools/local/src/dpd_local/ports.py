"""Ports nobody uses, found by trying.

They lie below the range that Linux takes outgoing connections' ports from, so that none of those takes one between its
being found and its being listened on.
"""

import contextlib
import random
import socket

FIRST, LAST = 20_000, 32_767


class FreePorts:
    """Finds ports that are free on loopback and finds none twice: what is found is listened on only later."""

    def __init__(self) -> None:
        self._found: set[int] = set()

    def __call__(self, count: int) -> list[int]:
        """Return `count` distinct TCP ports that were free on loopback a moment ago and were never returned before."""
        ports: list[int] = []
        while len(ports) < count:
            port = random.SystemRandom().randint(FIRST, LAST)
            if port not in self._found and _is_free(port):
                self._found.add(port)
                ports.append(port)
        return ports


def _is_free(port: int) -> bool:
    with socket.socket() as tried, contextlib.suppress(OSError):
        tried.bind(("127.0.0.1", port))
        return True
    return False


# One for the process, as the ports themselves are: two that did not know of each other would find the same one twice.
free_ports = FreePorts()
