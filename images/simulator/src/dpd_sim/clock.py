"""Simulated time."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`speed` simulated seconds pass in a real one."""

    speed: float

    def now(self) -> float:
        """Simulated seconds since some moment."""
        return asyncio.get_running_loop().time() * self.speed

    async def pause(self, seconds: float) -> None:
        """Sleep simulated seconds; always lets others run."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
