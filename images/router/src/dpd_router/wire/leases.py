"""What legs have while they are under way: a connection to their engine, and a name."""

from collections.abc import Callable
from secrets import token_hex

from dpd_router.wire.connections import Connections
from dpd_router.wire.exchange import Exchange
from dpd_router.wire.quick import Owner, QuickLeg
from dpd_router.wire.upstream import Upstream
from dpd_router.worker import Worker


class Leases:
    """Gives out kept connections and names.

    No two legs under way have one name, even where clients send one id twice: there are engines that keep requests by
    it, mix up two of one name and finish neither.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._names: set[str] = set()

    def kept(self, worker: Worker) -> Upstream | None:
        """Return a kept connection to a worker, None where there is none."""
        return self._connections.kept(worker.address.host, worker.address.port)

    def spare(self, upstream: Upstream) -> None:
        """Take a connection back that was not used."""
        self._connections.release(upstream)

    def quick(
        self, upstream: Upstream, exchange: Exchange, owner: Owner, clock: Callable[[], float], *, streams: bool
    ) -> QuickLeg:
        """Return a quick leg over a connection, to be sent."""
        return QuickLeg(upstream, exchange, self.name(exchange.ask.request_id), owner, clock, streams=streams)

    def name(self, request_id: str) -> str:
        """Return the name for a request's leg: its id, unless another leg has that."""
        name = request_id
        while name in self._names:
            name = f"{request_id}-{token_hex(4)}"
        self._names.add(name)
        return name

    def ended(self, name: str, upstream: Upstream) -> None:
        """Take a leg's name and connection back, whatever became of the leg."""
        self._names.discard(name)
        self._connections.release(upstream)
