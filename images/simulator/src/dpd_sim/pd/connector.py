"""What the engine asks of a KV connector, and the connector that has nothing to say."""

from collections.abc import Callable
from typing import Any, Protocol

from dpd_sim.core.request import Sequence
from dpd_sim.core.schedule import Load, Plan


class Connector(Protocol):
    """The hooks of one engine step; any exception takes the engine down."""

    def matched(self, sequence: Sequence, local: int) -> int | None:
        """Tokens beyond the `local` cached ones that can be brought for a waiting sequence; None: not known yet."""

    async def load(self, loads: list[Load]) -> None:
        """Bring them, before the step's forward pass."""

    async def save(self, plan: Plan) -> None:
        """Keep or push what the step computed; the step ends when this returns."""

    def finished(self, sequence: Sequence) -> dict[str, Any] | None:
        """The `kv_transfer_params` of the answer to a finished or aborted sequence."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Remember whom to wake when `matched` or `tick` would answer otherwise than before."""

    def holds(self, sequence: Sequence) -> bool:
        """Whether a finished sequence's blocks must stay until `tick` gives them up."""

    def tick(self) -> list[Sequence]:
        """Do what falls due between two steps; returns held sequences whose blocks may go. May raise."""

    async def close(self) -> None:
        """Give sockets and tasks back."""


class NoConnector:
    """An engine without a transfer, or with LMCache in degraded mode: everything is computed here.

    A degraded sender still dies of a request that asks for a transfer, and of an abort before the first token when
    `ret_first_tok` was asked for.
    """

    def __init__(self, degraded: bool = False):
        self._degraded = degraded

    def matched(self, sequence: Sequence, local: int) -> int:  # noqa: ARG002 - the interface's
        """Nothing."""
        return 0

    async def load(self, loads: list[Load]) -> None:
        """Nothing."""

    async def save(self, plan: Plan) -> None:
        """Nothing, unless a degraded engine is asked to push."""
        if self._degraded and any(piece.sequence.kv_params.get("disagg_spec") for piece in plan.prefills):
            raise AssertionError("LMCache engine is not initialized, a disagg_spec cannot be served")

    def finished(self, sequence: Sequence) -> dict[str, Any] | None:
        """Only a degraded LMCache connector has something to return."""
        return first_token(sequence) if self._degraded else None

    def on_change(self, wake: Callable[[], None]) -> None:
        """Nothing."""

    def holds(self, sequence: Sequence) -> bool:  # noqa: ARG002
        """Nothing."""
        return False

    def tick(self) -> list[Sequence]:
        """Nothing."""
        return []

    async def close(self) -> None:
        """Nothing."""


def first_token(sequence: Sequence) -> dict[str, Any] | None:
    """The first token's id when the request has the key `ret_first_tok`, whatever its value.

    Raises IndexError when the request was aborted before it had one.
    """
    if "ret_first_tok" not in sequence.kv_params:
        return None
    return {"first_tok": sequence.output[0]}
