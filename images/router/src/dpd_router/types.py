"""What the stages hand to one another. Plain data: no behaviour, no I/O.

Headers are pairs of bytes in the order they came. Sizes are bytes, times are seconds on one monotonic clock.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

Headers = Sequence[tuple[bytes, bytes]]
Body = dict[str, Any]
Params = dict[str, Any]


class Reason(StrEnum):
    """Why a request took the path it took; the only values of the metric's and the log's `reason`."""

    THRESHOLD = "threshold"
    SHORT = "short"
    CACHED = "cached"
    COLOCATED = "colocated"
    FAN_OUT = "fan_out"
    PROMPT_LOGPROBS = "prompt_logprobs"
    RELAYED = "relayed"
    STATEFUL = "stateful"
    NO_PREFILLER = "no_prefiller"
    NEVER_FITS = "never_fits"
    DECODER_IDLE = "decoder_idle"
    PREFILL_QUEUE = "prefill_queue"
    BUFFER_FULL = "buffer_full"
    PREFILL_FAILED = "prefill_failed"
    PREFILL_LATE = "prefill_late"
    PREFILL_REFUSED = "prefill_refused"
    PREFILL_EMPTY = "prefill_empty"
    DECODER_UNREACHABLE = "decoder_unreachable"
    DECODER_DIED = "decoder_died"
    NO_WORKER = "no_worker"
    INVALID = "invalid"


class Route(StrEnum):
    """The path a request took."""

    DISAGGREGATED = "disaggregated"
    DIRECT = "direct"
    NONE = "none"


class End(StrEnum):
    """How a request ended; one per request."""

    COMPLETE = "complete"
    REFUSED = "refused"
    CLIENT_LEFT = "client_left"
    DRAINED = "drained"
    UPSTREAM_DIED = "upstream_died"
    UNAVAILABLE = "unavailable"
    ROUTER_ERROR = "router_error"


class Step(StrEnum):
    """The names of a request's events, in the order in which they may come."""

    ACCEPTED = "accepted"
    DECIDED = "decided"
    PREFILL_SENT = "prefill_sent"
    PREFILL_ENDED = "prefill_ended"
    TRANSFERRED = "transferred"
    FELL_BACK = "fell_back"
    DECODE_SENT = "decode_sent"
    FIRST_BYTE = "first_byte"
    DRAINED = "drained"
    ENDED = "ended"


class Request(msgspec.Struct, frozen=True):
    """A request for an engine that parsed. `raw` is what the decoder gets; `body` is the same, as an object.

    `relayed`: nothing is to be generated, one worker answers; `stateful`: it goes on from what one engine keeps.
    """

    target: str
    headers: Headers
    body: Body
    raw: bytes
    fan_out: bool
    prompt_logprobs: bool
    request_id: str
    relayed: bool = False
    stateful: bool = False


class Prompt(msgspec.Struct, frozen=True):
    """What is known of the prompt: its length in tokens, and what may tie it to a worker.

    `lead` is its leading text, `ids` its token ids when they are known, `session` the name of its session, if any.
    `exact` is whether the length was counted and not estimated; `most` is a count that an estimate was doubted for.
    """

    tokens: int
    lead: str
    exact: bool = False
    ids: Sequence[int] = ()
    session: str = ""
    most: int | None = None


class Outlook(msgspec.Struct, frozen=True):
    """What the pools offer at this moment. `capacity` is the pages of the roomiest decoder, None when unlimited.

    Of the decoder that would answer: `held`, the prompt's tokens it is known to have computed already; `idle`, whether
    it has nothing else to do. Of the prefiller that would be asked: `ahead`, tokens of other prompts it has been given
    and has not finished; `warm`, the prompt's tokens it is known to have.
    """

    colocated: bool
    prefillers: int
    decoders: int
    capacity: int | None = None
    held: int = 0
    idle: bool = False
    ahead: int = 0
    warm: int = 0


class Gates(msgspec.Struct, frozen=True):
    """When load overrules length; both are off by default.

    `idle_decoder`: an idle decoder prefills by itself. `queue_ratio`: so does any, when the prefiller would be done
    only after more than this many times the tokens the decoder would have to compute.
    """

    idle_decoder: bool = False
    queue_ratio: float | None = None


class SessionKeys(msgspec.Struct, frozen=True):
    """Where a request names its session: a header, then the body's `user`, then a cookie. Empty: not looked for."""

    header: str = "x-session-id"
    user: bool = True
    cookie: str = ""


class Policy(msgspec.Struct, frozen=True):
    """The settings that decide a request's path. `confirm`: prefillers' notices of transfers come here, if anywhere.

    `session` is None where nobody is chosen by a request's session.
    """

    threshold: int
    invocation: str
    page_tokens: int = 256
    prefill_attempts: int = 2
    prefill_seconds: float = 120.0
    ready_seconds: float = 1.0
    room_seconds: float = 5.0
    retry_after: int = 5
    confirm: bool = True
    gates: Gates = Gates()
    session: SessionKeys | None = None
    explain: bool = False


class Decision(msgspec.Struct, frozen=True):
    """Where a request goes, and why. `pages` is the most its transfer can take of the decoder's buffer."""

    disaggregate: bool
    reason: Reason
    pages: int = 0


class Receiver(msgspec.Struct, frozen=True):
    """Where a prefiller finds the decoder: an address, and one port pair per tensor-parallel rank."""

    host: str
    init_ports: tuple[int, ...]
    alloc_ports: tuple[int, ...]


class Call(msgspec.Struct, frozen=True):
    """One upstream request, ready to be sent. `streams`: its answer comes as it is made, not whole at the end."""

    method: str
    target: str
    headers: Headers
    body: bytes
    streams: bool = False


class Reply(msgspec.Struct, frozen=True):
    """One upstream response that was read whole."""

    status: int
    headers: Headers
    body: bytes


class Outcome(msgspec.Struct, frozen=True):
    """How a relayed leg ended; `status` is the engine's, 0 when it sent none; `limited`: the worker had no room."""

    end: End
    status: int
    limited: bool = False


class Verdict(StrEnum):
    """What a prefiller's reply means for the request."""

    READY = "ready"
    REFUSED = "refused"
    BUSY = "busy"
    RETRY = "retry"


class Event(msgspec.Struct, frozen=True):
    """One thing that happened to a request, at a time."""

    step: Step
    at: float
    detail: dict[str, Any]


class Candidate(Protocol):
    """What a strategy sees of a worker."""

    @property
    def name(self) -> str:
        """The address, `host:port`; the same in every router."""

    @property
    def in_flight(self) -> int:
        """Requests this router has given it and that have not ended."""

    @property
    def last_used(self) -> int:
        """The turn at which it was last chosen; 0 for never."""
