"""Who is chosen for a request: the strategies of an endpoint, role by role, over the workers that take requests."""

from dataclasses import dataclass

import msgspec

from dpd_router.errors import UnavailableError
from dpd_router.pool import Pool, Role, Worker
from dpd_router.strategies import Fits, Strategy, anyone
from dpd_router.types import Outlook, Policy, Prompt

_COLOCATED, _ANSWERING = (Role.WORKER,), (Role.DECODE, Role.WORKER)


@dataclass(frozen=True, slots=True)
class Chooser:
    """A strategy for each role; `name` is that of the prefillers' and of colocated workers'."""

    pool: Pool
    policy: Policy
    name: str
    strategies: dict[Role, Strategy[Worker]]

    def rank(self, role: Role, prompt: Prompt, most: int, fits: Fits = anyone) -> list[Worker]:
        """Return the best workers of a role for a prompt, `most` at the most, the best first."""
        return self.strategies[role].rank(prompt, most, fits)

    def outlook(self, prompt: Prompt) -> Outlook:
        """Return what `route` needs to know of the pools, and of those who would take the prompt when it matters."""
        outlook = self.pool.outlook
        if outlook.colocated or prompt.tokens < self.policy.threshold:
            return outlook
        outlook = msgspec.structs.replace(outlook, capacity=self.pool.capacity())
        for decoder in self.rank(Role.DECODE, prompt, 1, self.pool.reads(None, paired=True)):
            held = self.strategies[Role.DECODE].held(prompt, decoder)
            ahead, warm = self._queue(prompt, decoder)
            idle = decoder.in_flight == 0
            return msgspec.structs.replace(outlook, held=held, idle=idle, ahead=ahead, warm=warm)
        return outlook

    def _queue(self, prompt: Prompt, decoder: Worker) -> tuple[int, int]:
        """Return the tokens ahead of the prompt at its prefiller, and those of its own that are there already."""
        if self.policy.gates.queue_ratio is None:
            return 0, 0
        for prefiller in self.prefillers(prompt, 1, self.pool.read_by(decoder)):
            return prefiller.tokens, self.strategies[Role.PREFILL].held(prompt, prefiller)
        return 0, 0

    def prefillers(self, prompt: Prompt, most: int, fits: Fits) -> list[Worker]:
        """Return the best prefillers for a prompt, `most` at the most, among those whose KV can be read."""
        return self.rank(Role.PREFILL, prompt, most, fits)

    def answering(self, prompt: Prompt, retry_after: int, fits: Fits = anyone) -> Worker:
        """Return the worker that answers: a decoder that fits, or a colocated one. Raises UnavailableError."""
        for role in _COLOCATED if self.pool.colocated else _ANSWERING:
            for worker in self.strategies[role].rank(prompt, 1, fits):
                return worker
        raise UnavailableError(
            "No worker can take the request now; try again later.", code="no_worker", retry_after=retry_after
        )
