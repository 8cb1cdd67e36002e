"""The section `transfer`: how KV moves, how much room decoders have for it, and who else reserves there."""

from dataclasses import dataclass, field

from dpd_router.config.section import Section
from dpd_router.connectors import NAMES, connector_named
from dpd_router.ledger import Buffers


@dataclass(frozen=True, slots=True)
class Transfer:
    """Connector, where prefillers report, the ports of decoders' ranks, and times in seconds.

    `confirm`: wait for notices. `port` is None when the connector's prefillers report nothing. `usage_interval` is how
    often decoders are asked for their buffers' use, 0 for never.
    """

    connector: str = "lmcache"
    host: str = "0.0.0.0"  # noqa: S104 - prefillers report from other pods
    port: int | None = None
    init_ports: tuple[int, ...] = ()
    alloc_ports: tuple[int, ...] = ()
    page_tokens: int = 256
    confirm: bool = False
    ready_seconds: float = 1.0
    room_seconds: float = 5.0
    usage_interval: float = 0.0
    buffers: Buffers = field(default_factory=Buffers)


def transfer_of(root: Section) -> Transfer | None:
    """Return the section's settings, None when there is no such section."""
    if not root.has("transfer"):
        return None
    with root.section("transfer") as section:
        connector = section.text("connector", "lmcache", NAMES)
        if connector in NAMES and not connector_named(connector).pushes:
            return Transfer(connector)
        return _pushed(section, connector)


def _pushed(section: Section, connector: str) -> Transfer:
    """Return the settings of a connector that writes into decoders' buffers."""
    inits, allocs = section.ports("initPorts", required=True), section.ports("allocPorts", required=True)
    if len(inits) != len(allocs):
        fact = f"{len(allocs)} ports, and initPorts has {len(inits)}"
        section.problem("allocPorts", fact, "give both lists one port per tensor-parallel rank")
    with section.section("notify", required=True) as notify:
        host = notify.text("host", "0.0.0.0")  # noqa: S104 - as above
        port = notify.integer("port", 7500, 0, 65535)
    return Transfer(
        connector,
        host,
        port,
        inits,
        allocs,
        page_tokens=section.integer("pageTokens", 256, 1, 65536),
        confirm=section.flag("confirm", default=True),
        ready_seconds=section.seconds("readySeconds", 1, 0, 600),
        room_seconds=section.seconds("roomSeconds", 5, 0, 600),
        usage_interval=section.seconds("usageSeconds", 5, 0, 3600),
        buffers=_buffers(section),
    )


def _buffers(section: Section) -> Buffers:
    pages = section.integer("pagesPerDecoder", None, 1, 2**31) if section.has("pagesPerDecoder") else None
    size = section.integer("bufferBytes", None, 1, 2**50) if section.has("bufferBytes") else None
    with section.section("routers") as routers:
        most, surge = routers.integer("most", 1, 1, 1024), routers.integer("surge", 0, 0, 1024)
    queue, window = section.integer("roomQueue", 64, 0, 1_000_000), section.seconds("driftSeconds", 60, 0.05, 86400)
    return Buffers(pages, size, most, surge, queue, window)
