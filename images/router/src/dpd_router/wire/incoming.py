"""One request as it came in."""

from typing import Final

from dpd_router.ask import Ask
from dpd_router.errors import RouterError
from dpd_router.wire.heads import Known


class Incoming:
    """One whole request and what its connection needs to know of it; with a `refusal` its body was let go.

    `known` is its head, where that had come before.
    """

    __slots__ = ("ask", "http_1_0", "keep_alive", "known", "refusal")

    def __init__(
        self,
        ask: Ask,
        *,
        http_1_0: bool,
        keep_alive: bool,
        refusal: RouterError | None = None,
        known: Known | None = None,
    ) -> None:
        self.ask: Final = ask
        self.http_1_0: Final = http_1_0
        self.keep_alive: Final = keep_alive
        self.refusal: Final = refusal
        self.known: Final = known
