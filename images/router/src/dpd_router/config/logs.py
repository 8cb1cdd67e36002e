"""The configuration's `logs` section: how lines look, and which are written."""

from dataclasses import dataclass

from dpd_router.config.section import Section
from dpd_router.logs import Format

LEVELS = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Logs:
    """`sample` is the share of good requests that get a line in the access log, from 0 to 1."""

    form: Format = Format.PLAIN
    level: str = "INFO"
    sample: float = 1.0


def read_logs(root: Section) -> Logs:
    """Read the section; without it everything is written, in plain lines."""
    with root.section("logs") as logs:
        form = Format(logs.text("format", Format.PLAIN, tuple(Format)))
        return Logs(form, logs.text("level", "info", LEVELS).upper(), logs.share("accessSample", 1))
