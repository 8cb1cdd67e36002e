"""Log lines in the shapes people grep for: vLLM's own, and LMCache's with the worker in front."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Log:
    """Lines of one engine. `write` takes a whole line, newline included."""

    write: Callable[[str], object]
    ranks: int = 1

    def vllm(self, level: str, text: str) -> None:
        """One line of the engine or its API server."""
        stamp = time.strftime("%m-%d %H:%M:%S")
        self.write(f"{level} {stamp} [dpd_sim] {text}\n")

    def worker(self, rank: int, level: str, text: str) -> None:
        """One line of LMCache in a rank's worker."""
        name = f"Worker_TP{rank}" if self.ranks > 1 else "EngineCore"
        self.write(f"[{name}] [LMCache {level}] {text}\n")

    def request(self, rank: int, request_id: str, text: str) -> None:
        """One line of LMCache about a request."""
        self.worker(rank, "INFO", f"[req_id={request_id}] {text}")
