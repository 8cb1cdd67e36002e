"""How KV moves from a prefiller to a decoder: one file per connector, one interface."""

from typing import Protocol

from dpd_router.connectors.lmcache import LMCache
from dpd_router.connectors.nixl import Nixl
from dpd_router.types import Params, Receiver, Reply


class Connector(Protocol):
    """What the path asks of a connector: the parameters of either leg, as the engines expect them.

    `pushes`: the prefiller writes into the buffer of a decoder that was chosen before, and says so to the router. Where
    it does not, its KV stays with it until whichever decoder is chosen after the prefill has fetched it.
    """

    pushes: bool

    def prefill_params(self, transfer_id: str, tag: str, receiver: Receiver | None) -> Params:
        """Return what tells a prefiller where the KV goes; `receiver` is None unless the connector pushes."""

    def decode_params(self, tag: str, reply: Reply | None) -> Params | None:
        """Return what lets a decoder find the KV, None when there is none to find.

        `reply` is the prefiller's, None when it broke off: what a connector has pushed by then may wait all the same.
        """


NAMES = ("lmcache", "nixl")


def connector_named(name: str) -> Connector:
    """Return the connector of that name; the configuration has made sure that there is one."""
    table: dict[str, type[Connector]] = {"lmcache": LMCache, "nixl": Nixl}
    return table[name]()
