"""Memory given back: after many connections have ended at once, most of what they took is free and still ours."""

import ctypes
import gc
from collections.abc import Callable
from dataclasses import dataclass, field

MANY = 100  # fewer are not worth it
SHARE = 4

# Requests leave few cycles behind and make many objects: by default a tenth of the time goes into looking for cycles.
YOUNG_OBJECTS = 10_000


def settle() -> None:
    """Look at what was made for the whole life of the process no more, and at what is new less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


@dataclass(slots=True)
class Tidy:
    """Asks the allocator to return what is free, when connections have fallen to a quarter of what they were."""

    trim: Callable[[], None] = field(default_factory=lambda: trimmer())  # noqa: PLW0108 - it stands below
    peak: int = 0

    def look(self, connections: int) -> bool:
        """Note how many connections there are; tidy up when that is the moment, and say so. To be called often."""
        self.peak = max(self.peak, connections)
        if self.peak < MANY or connections * SHARE > self.peak:
            return False
        self.peak = connections
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
