"""Memory given back: after many connections have ended at once, most of what they took is free and still ours."""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field

MANY = 100  # fewer are not worth it
SHARE = 4

# Requests leave few cycles behind and make many objects: by default a tenth of the time goes into looking for cycles.
YOUNG_OBJECTS = 10_000

# How many uvloop keeps of each kind of handle, and asyncio of what waits for a future.
SPARE_HANDLES = 250
SPARE_WAITS = 255


def settle() -> None:
    """Look at what was made for the whole life of the process no more, and at what is new less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


class Spares:
    """Objects of the kinds of which the event loop keeps those let go last, a few hundred of each, for reuse.

    After a crowd they lie wherever there was room at its height, and one is enough to keep an arena of Python's, 1 MiB.
    So as many are made at the start, next to each other, and held; when a crowd has gone they take the place of those.
    """

    def __init__(self) -> None:
        self._held: list[object] = []

    async def swap(self) -> None:
        """Let go for good of what the loop has kept for reuse since the last time."""
        strays = await _taken()
        self._held.clear()  # these are kept now, and leave no place for others
        strays.clear()
        self._held = await _taken()


async def _taken() -> list[object]:
    """Return as many of each kind as the loop may have kept: those, as it makes none while it has any."""
    loop = asyncio.get_running_loop()
    context, done = Context(), loop.create_future()
    done.set_result(None)
    handles = [loop.call_soon(_nothing, context=context) for _ in range(SPARE_HANDLES)]
    timers = [loop.call_later(1, _nothing, context=context) for _ in range(SPARE_HANDLES)]
    waits = [done.__await__() for _ in range(SPARE_WAITS)]
    for each in (*handles, *timers):
        each.cancel()
    await asyncio.sleep(0)  # now the loop itself refers to none of them
    return [*handles, *timers, *waits]


def _nothing() -> None:
    """Be called never: who would call is told off first."""


@dataclass(slots=True)
class Tidy:
    """Has memory given back, when connections have fallen to a quarter of what they were."""

    trim: Callable[[], None] = field(default_factory=lambda: trimmer())  # noqa: PLW0108 - it stands below
    spares: Spares = field(default_factory=Spares)
    peak: int = 0

    async def look(self, connections: int) -> bool:
        """Note how many connections there are; tidy up when that is the moment, and say so. To be called often."""
        self.peak = max(self.peak, connections)
        if self.peak < MANY or connections * SHARE > self.peak:
            return False
        self.peak = connections
        gc.collect()  # what is let go later would be kept in the spares' stead
        await self.spares.swap()
        sys._clear_type_cache()  # it refers to the name of each attribute that was looked up, wherever that lies
        gc.collect()
        self.trim()
        return True


def trimmer() -> Callable[[], None]:
    """Return glibc's malloc_trim; where the C library has none, nothing is done."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return lambda: None
    return lambda: trim(0)
