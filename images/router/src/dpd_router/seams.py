"""What the path needs of the outside, so that it can be followed without any: engines, the client, the notices."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from dpd_router.errors import RouterError
from dpd_router.pool import Worker
from dpd_router.types import Call, Outcome, Prompt, Reply, Request


class Client(Protocol):
    """The downstream side of one request."""

    @property
    def gone(self) -> bool:
        """Whether the client has left."""

    @property
    def status(self) -> int:
        """The status that was sent; 499 when the client left before any."""

    @property
    def bytes_out(self) -> int:
        """Bytes of body sent so far."""

    def explain(self, decision: Callable[[], str]) -> None:
        """Take what is to be asked, when the answer's head is written, how the request was decided."""

    def refuse(self, error: RouterError) -> None:
        """Answer with an error, or break the connection when an answer has begun."""


C = TypeVar("C", bound=Client, contravariant=True)


class Counts(Protocol):
    """The length of a prompt, better than an estimate where that can be had."""

    def worth(self, request: Request) -> bool:
        """Say whether a request's prompt is to be counted; else its estimate stands."""

    async def count(self, request: Request, estimated: Prompt) -> Prompt:
        """Return the prompt as it was counted, or as it was estimated; never raises and never takes long."""


class Collects(Protocol):
    """The upstream side of legs whose reply the router itself reads."""

    async def collect(self, worker: Worker, call: Call, request_id: str) -> Reply:
        """Send a leg and read its reply whole.

        Raises ConnectFailedError when nothing was sent and LegDiedError when something may have been.
        """


class Legs(Collects, Protocol[C]):
    """The whole upstream side, for one kind of client."""

    async def relay(
        self, worker: Worker, call: Call, client: C, *, hold: bool, first: Callable[[int], None]
    ) -> Outcome:
        """Send a leg and pass its reply to the client as it comes; `first` is called with the status at the
        body's first byte.

        When the client leaves the leg is broken off at once; with `hold`, not before the first byte: until then the
        decoder has not read what was transferred. Raises ConnectFailedError and LegDiedError as above.
        """


class Notices(Protocol):
    """The prefillers' word that a transfer has been written."""

    def expect(self, transfer_id: str) -> None:
        """Begin to count notices of a transfer."""

    async def arrived(self, transfer_id: str, count: int, seconds: float) -> bool:
        """Wait for `count` notices, `seconds` at most; say whether they came."""

    def forget(self, transfer_id: str) -> None:
        """Stop counting."""
