"""Beside the first step: what is asked of every peer, and what one measurement finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One load. The figure is microseconds of the router's processors per unit: a request, or an event of a stream."""

    name: str
    clients: int
    requests: int
    bytes: int
    events: int = 0
    spacing: str = "0s"
    pd: bool = False
    tls: bool = False

    @property
    def unit(self) -> str:
        """What the figure is per."""
        return "event" if self.spacing != "0s" else "request"

    def flags(self, share: float) -> list[str]:
        """The load's flags for a share of the requests, and of a stream's length where it is what takes the time."""
        requests = max(self.clients, int(self.requests * share))
        events = self.events if self.unit == "request" else max(1, int(self.events * share))
        numbers = {"clients": self.clients, "requests": requests, "bytes": self.bytes, "events": events}
        flags = [part for key, value in numbers.items() for part in (f"-{key}", str(value))]
        return [*flags, "-distinct", *(["-tls"] if self.tls else [])]


ALONE = Case("1 KB, one at a time", 1, 3000, 1024)
REQUESTS = (ALONE, Case("1 KB, 64 at a time", 64, 12000, 1024))
# One stream each, as long as an answer is: what a request costs is asked above.
EVENTS = (
    Case("events 20 ms apart, 64 streams", 64, 64, 1024, 300, "20ms"),
    Case("events 20 ms apart, 256 streams", 256, 256, 1024, 200, "20ms"),
)
BODIES = (Case("32 KB, 8 events", 16, 3000, 32 << 10, 8), Case("128 KB, 8 events", 16, 1500, 128 << 10, 8))
PD = (
    Case("PD, 32 KB, 8 events", 16, 2000, 32 << 10, 8, pd=True),
    Case("PD, 128 KB, 8 events", 16, 1000, 128 << 10, 8, pd=True),
)
TLS = (
    Case("1 KB, 64 at a time, TLS", 64, 6000, 1024, tls=True),
    Case("events 20 ms apart, 64 streams, TLS", 64, 64, 1024, 300, "20ms", tls=True),
)
CASES = (*REQUESTS, *EVENTS, *BODIES, *PD, *TLS)

US, NGINX, HAPROXY, DIRECT = "dpd", "nginx", "haproxy", "direct"
RUST = ("vllm-router", "sglang-router")
BARE = "bare relay"
"""No bar is measured against it: it shows what of a figure is the system's, the loop's and the parser's."""
SOURCES = "dpd, not compiled"
"""Nor against this: it shows what compiling the hot modules is worth."""
PEERS = (US, NGINX, HAPROXY, *RUST, BARE, SOURCES)


def peers_of(case: Case) -> Sequence[str]:
    """Return who can take a case: PD is vllm-router's and ours, TLS the proxies' and ours."""
    if case.pd:
        return (US, RUST[0])
    return (US, NGINX, HAPROXY) if case.tls else PEERS


@dataclass(frozen=True)
class Figure:
    """One measurement: microseconds of processor per unit, median latency in microseconds, memory in MB."""

    cpu: float
    p50: float
    memory: float

    @property
    def said(self) -> str:
        """All three, for people."""
        return f"{self.cpu:8.1f} µs, p50 {self.p50:9.0f} µs, {self.memory:6.1f} MB,"


Found = Mapping[tuple[str, str], Sequence[Figure]]
"""Figures by peer and case, round by round."""
