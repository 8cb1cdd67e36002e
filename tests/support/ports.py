"""Ports nobody uses: the one helper, under the name the suites know."""

from dpd_local.ports import free_ports


def free_port() -> int:
    """Return one free TCP port on loopback."""
    return free_ports(1)[0]


__all__ = ["free_port", "free_ports"]
