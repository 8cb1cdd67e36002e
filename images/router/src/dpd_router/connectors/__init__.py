"""How KV moves from a prefiller to a decoder: one file per connector, one interface."""

from typing import Protocol

from dpd_router.connectors.lmcache import LMCache
from dpd_router.types import Params, Receiver


class Connector(Protocol):
    """What the path asks of a connector: the parameters of either leg, as the engines expect them."""

    def prefill_params(self, transfer_id: str, tag: str, receiver: Receiver) -> Params:
        """Return what tells a prefiller where the KV goes."""

    def decode_params(self, tag: str) -> Params:
        """Return what lets a decoder find the KV."""


NAMES = ("lmcache",)


def connector_named(name: str) -> Connector:
    """Return the connector of that name; the configuration has made sure that there is one."""
    return {"lmcache": LMCache}[name]()
