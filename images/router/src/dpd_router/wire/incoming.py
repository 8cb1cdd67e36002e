"""One request as it came in."""

import msgspec

from dpd_router.errors import RouterError
from dpd_router.types import Ask
from dpd_router.wire.heads import Known


class Incoming(msgspec.Struct, frozen=True):
    """One whole request and what its connection needs to know of it; with a `refusal` its body was let go.

    `known` is its head, where that had come before.
    """

    ask: Ask
    http_1_0: bool
    keep_alive: bool
    refusal: RouterError | None = None
    known: Known | None = None
