"""What runs beside the callbacks of a connection."""

from collections.abc import Awaitable, Callable


async def then(doing: Awaitable[None], done: Callable[[], None]) -> None:
    """Wait for something, and say when it is over, however it ends."""
    try:
        await doing
    finally:
        done()
