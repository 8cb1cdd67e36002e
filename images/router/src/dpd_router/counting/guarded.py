"""A count that never holds a request up: past its deadline, or where counting keeps failing, the estimate stands."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import structs

from dpd_router.counting.prompts import countable, shareable
from dpd_router.types import Body, Prompt, Request

FAILURES = 3
REST_SECONDS = 5.0


class CountFailedError(Exception):
    """The prompt could not be counted; the text says why."""


class Source(Protocol):
    """What counts: returns a prompt's token ids."""

    async def ids(self, asked: Body, request: Request) -> list[int]:
        """Return the token ids of what `countable` returned for a request. Raises CountFailedError."""


@dataclass(slots=True)
class Tally:
    """How often prompts were counted, and how often the estimate stood in for a count that failed."""

    counted: int = 0
    failed: int = 0
    rested: int = 0


class Estimates:
    """Leaves every prompt as it was estimated."""

    def worth(self, request: Request) -> bool:  # noqa: ARG002 - the seam's
        """Return False: no prompt is counted."""
        return False

    async def count(self, request: Request, estimated: Prompt) -> Prompt:  # noqa: ARG002 - the seam's
        """Return the estimate."""
        return estimated


@dataclass(slots=True)
class Guarded:
    """Counts where it is worth it, `seconds` at most; after three failures in a row not at all for a while."""

    source: Source
    worth: Callable[[Request], bool]
    seconds: float
    clock: Callable[[], float]
    tell: Callable[[str], None]
    tally: Tally = field(default_factory=Tally)
    _failures: int = 0
    _resting: float = 0.0

    async def count(self, request: Request, estimated: Prompt) -> Prompt:
        """Return the prompt with its count, or as it was estimated."""
        if not self.worth(request) or estimated.exact:
            return estimated
        asked = countable(request)
        if asked is None:
            return estimated
        if self.clock() < self._resting:
            self.tally.rested += 1
            return estimated
        try:
            async with asyncio.timeout(self.seconds):
                ids = await self.source.ids(asked, request)
        except (CountFailedError, TimeoutError) as error:
            self._failed(str(error) or f"no answer within {self.seconds:g} s")
            return estimated
        self._failures = 0
        self.tally.counted += 1
        return structs.replace(estimated, tokens=len(ids), exact=True, ids=ids if shareable(request) else ())

    def _failed(self, why: str) -> None:
        self.tally.failed += 1
        self._failures += 1
        if self._failures == FAILURES:
            self._failures = 0
            self._resting = self.clock() + REST_SECONDS
            self.tell(f"tokens are estimated for {REST_SECONDS:g} s: counting failed {FAILURES} times, last: {why}")
