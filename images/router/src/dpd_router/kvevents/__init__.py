"""What engines tell of their KV caches, over ZeroMQ, as vLLM publishes it: read, put in order, written to the index."""

from dpd_router.kvevents.feeds import Feeds, Ports

__all__ = ["Feeds", "Ports"]
