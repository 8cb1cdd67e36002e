"""The sections of the configuration that are about clients: who may call, and how."""

from dataclasses import dataclass

from dpd_router.config.auth import Auth, read_auth
from dpd_router.config.section import Section


@dataclass(frozen=True, slots=True)
class Surface:
    """What the router shows the world."""

    auth: Auth


def read_surface(root: Section) -> Surface:
    """Read the sections."""
    return Surface(read_auth(root))
