"""The section `routing`: how a request's path and its workers are chosen."""

from dataclasses import dataclass

from dpd_router.config.kv_events import KvEvents, read_kv_events
from dpd_router.config.section import Section
from dpd_router.config.tokenizer import TokenizerSettings, read_tokenizer
from dpd_router.strategies import KVAWARE, NAMES, SESSION
from dpd_router.types import Gates, SessionKeys


@dataclass(frozen=True, slots=True)
class Routing:
    """`strategy` chooses prefillers and colocated workers, `decode_strategy` decoders."""

    threshold: int
    strategy: str
    decode_strategy: str
    gates: Gates
    session: SessionKeys
    explain: bool
    tokenizer: TokenizerSettings
    kv_events: KvEvents

    @property
    def wants_ids(self) -> bool:
        """Whether prompts are needed token by token, and not only their lengths."""
        return KVAWARE in (self.strategy, self.decode_strategy)

    @property
    def wants_session(self) -> bool:
        """Whether anybody is chosen by a request's session."""
        return SESSION in (self.strategy, self.decode_strategy)


def read_routing(root: Section) -> Routing:
    """Return the section, or its defaults."""
    with root.section("routing") as routing:
        threshold = routing.integer("threshold", 4096, 0, 2**31 - 1)
        names = routing.text("strategy", "prefixaware", NAMES), routing.text("decodeStrategy", "leastload", NAMES)
        explain = routing.flag("explain", default=False)
        tokenizer = read_tokenizer(routing, ids_wanted=KVAWARE in names)
        kv_events = read_kv_events(routing)
        return Routing(threshold, *names, _gates(routing), _session(routing), explain, tokenizer, kv_events)


def _gates(routing: Section) -> Gates:
    with routing.section("gates") as gates:
        ratio = gates.number("queueRatio", 1, 1, 1000) if gates.has("queueRatio") else None
        return Gates(gates.flag("idleDecoder", default=False), ratio)


def _session(routing: Section) -> SessionKeys:
    with routing.section("session") as session:
        header = session.word("header", "x-session-id")
        return SessionKeys(header, session.flag("user", default=True), session.word("cookie", ""))
