"""LMCache PD: the prefiller writes into the decoder's buffer, the decoder then finds the pages by their keys.

The decoder gets the client's own request, so no first token is asked of the prefiller. The tag becomes part of every
page's key: pages of different prefillers never mix, and a request without the tag cannot take them.
"""

from dpd_router.types import Params, Receiver, Reply

TAG = "lmcache.tag.p"


class LMCache:
    """The parameters of LMCache's `kv_transfer_params`."""

    pushes = True

    def prefill_params(self, transfer_id: str, tag: str, receiver: Receiver | None) -> Params:
        """Return the sender's parameters: where the pages go, and under which tag."""
        assert receiver is not None
        spec = {
            "req_id": transfer_id,
            "receiver_host": receiver.host,
            "receiver_init_port": list(receiver.init_ports),
            "receiver_alloc_port": list(receiver.alloc_ports),
        }
        return {"disagg_spec": spec, TAG: tag}

    def decode_params(self, tag: str, reply: Reply | None) -> Params:  # noqa: ARG002 - the pages' keys say it all
        """Return the receiver's parameters: the tag, nothing else."""
        return {TAG: tag}
