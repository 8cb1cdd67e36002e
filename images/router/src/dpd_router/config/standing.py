"""The sections on which the router's standing depends: `health`, `ejection`, `fallback` and most of `timeouts`."""

from dataclasses import dataclass

from dpd_router.config.section import Section
from dpd_router.ejection import Ejection
from dpd_router.health import Checks
from dpd_router.wire.deadlines import Deadlines


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds. `leave` is how long a router that was told to stop still takes requests."""

    connect: float
    upstream_keep_alive: float
    deadlines: Deadlines
    leave: float
    grace: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How workers are judged; how many prompts decoders compute because no prefiller would, and who waits."""

    checks: Checks
    ejection: Ejection
    fallbacks: int
    fallback_queue: int
    fallback_seconds: float


def read_standing(root: Section) -> Standing:
    """Return the sections `health`, `ejection` and `fallback`."""
    with root.section("health") as health:
        checks = Checks(
            path=health.text("path", "/health"),
            interval=health.seconds("intervalSeconds", 2, 0.05, 3600),
            timeout=health.seconds("timeoutSeconds", 5, 0.05, 600),
            tolerance=health.integer("tolerance", 1, 0, 100),
        )
    with root.section("ejection") as section:
        ejection = Ejection(
            failures=section.integer("failures", 5, 0, 1000),
            base=section.seconds("baseSeconds", 1, 0.01, 3600),
            longest=section.seconds("longestSeconds", 60, 0.01, 86400),
            share=section.integer("sharePercent", 50, 0, 100) / 100,
        )
    with root.section("fallback") as fallback:
        each = fallback.integer("perDecoder", 16, 0, 100_000)
        queue = fallback.integer("queue", 64, 0, 100_000)
        return Standing(checks, ejection, each, queue, fallback.seconds("waitSeconds", 10, 0, 3600))


def read_timing(timeouts: Section) -> Timing:
    """Return what `timeouts` says of legs and of the router's end."""
    return Timing(
        connect=timeouts.seconds("connectSeconds", 3, 0.01, 600),
        upstream_keep_alive=timeouts.seconds("upstreamKeepAliveSeconds", 4, 0, 3600),
        deadlines=Deadlines(
            first_byte=timeouts.seconds("firstByteSeconds", 300, 0.05, 86400),
            answer=timeouts.seconds("answerSeconds", 3600, 0.05, 86400),
            idle=timeouts.seconds("streamIdleSeconds", 300, 0.05, 86400),
        ),
        leave=timeouts.seconds("leaveSeconds", 0, 0, 3600),
        grace=timeouts.seconds("graceSeconds", 30, 0, 86400),
    )
