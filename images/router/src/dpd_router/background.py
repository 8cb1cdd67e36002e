"""Work that outlives its request: late prefills and drains. Nothing here is ever cancelled but by the end itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Keeps hold of tasks until they are done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run `work` to its end, whoever started it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, seconds: float) -> int:
        """Wait for all work, `seconds` at most; cancel the rest and return how much that was."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while self._tasks and clock() < deadline:  # work may start more work
            await asyncio.wait(set(self._tasks), timeout=deadline - clock())
        left = set(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)
