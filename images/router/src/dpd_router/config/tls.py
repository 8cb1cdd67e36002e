"""The configuration's `tls` section: whether connections are encrypted, and with what."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dpd_router.config.section import Section


class Mode(StrEnum):
    """PERMISSIVE takes TLS and plain HTTP, STRICT only TLS, DISABLED only plain HTTP."""

    PERMISSIVE = "permissive"
    STRICT = "strict"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Tls:
    """The files hold PEM; they may come later. `reload_seconds` is how often they are read again."""

    mode: Mode = Mode.DISABLED
    certificate: Path = Path()
    key: Path = Path()
    handshake_seconds: float = 10.0
    reload_seconds: float = 5.0


def read_tls(root: Section) -> Tls:
    """Read the section; without it there is no TLS."""
    if not root.has("tls"):
        return Tls()
    with root.section("tls") as section:
        mode = Mode(section.text("mode", "permissive", tuple(Mode)) or Mode.PERMISSIVE)
        needed = None if mode is not Mode.DISABLED else "tls.crt"
        return Tls(
            mode,
            Path(section.text("certificateFile", needed)),
            Path(section.text("keyFile", needed)),
            section.seconds("handshakeSeconds", 10, 0.05, 600),
            section.seconds("reloadSeconds", 5, 0.05, 3600),
        )
