"""The section `routing.kvEvents`: where engines publish what they cache, for kvaware."""

from dataclasses import dataclass

from dpd_router.config.section import Section
from dpd_router.kvevents import Ports


@dataclass(frozen=True, slots=True)
class KvEvents:
    """`own` are the ports of single workers; `most_blocks` is how many pairs of worker and block are remembered."""

    ports: Ports
    own: dict[str, Ports]
    most_blocks: int
    seconds: float


def read_kv_events(routing: Section) -> KvEvents:
    """Return the section, or its defaults."""
    with routing.section("kvEvents") as section:
        ports = _ports(section)
        with section.section("workers") as workers:
            own = {name: _own(workers, name) for name in workers.names()}
        most = section.integer("maxBlocks", 1_000_000, 1, 10**9)
        return KvEvents(ports, own, most, section.seconds("replaySeconds", 2, 0.01, 600))


def _own(workers: Section, name: str) -> Ports:
    with workers.section(name) as section:
        return _ports(section)


def _ports(section: Section) -> Ports:
    return Ports(section.integer("port", 5557, 1, 65535), section.integer("replayPort", 5558, 1, 65535))
