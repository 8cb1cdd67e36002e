"""The configuration's `auth` section: where API keys are, and what each may do."""

from dataclasses import dataclass, field
from pathlib import Path

from dpd_router.auth.bucket import Rate
from dpd_router.config.section import Section


@dataclass(frozen=True, slots=True)
class Auth:
    """`folder` is None when the router asks for no keys. `reload_seconds` is how often key files are read again."""

    folder: Path | None = None
    forward: bool = False
    reload_seconds: float = 5.0
    rate: Rate | None = None
    rates: dict[str, Rate] = field(default_factory=dict)


def read_auth(root: Section) -> Auth:
    """Read the section; without it nobody is asked for a key."""
    if not root.has("auth"):
        return Auth()
    with root.section("auth") as section:
        folder = Path(section.text("keysDirectory"))
        if not folder.is_dir():
            section.problem("keysDirectory", f"{folder} is no folder", "mount the Secret with the keys there")
        common = _rate(section, "rateLimit") if section.has("rateLimit") else None
        with section.section("rateLimits") as rates:
            own = {name: _rate(rates, name) for name in rates.names()}
        seconds = section.seconds("reloadSeconds", 5, 0.05, 3600)
        return Auth(folder, section.flag("forward", default=False), seconds, common, own)


def _rate(section: Section, key: str) -> Rate:
    with section.section(key) as rate:
        per_minute = rate.integer("requestsPerMinute", None, 1, 10**9)
        return Rate(per_minute, rate.integer("burst", max(1, per_minute // 10), 1, 10**9))
