"""vLLM's NixlConnector: the prefiller keeps its blocks, the decoder fetches them.

The prefiller's reply says where they are, and the decoder is told so word for word. A prefill that ended otherwise than
by its length says nothing and keeps nothing, which is why its leg ignores stops. Blocks that no decoder fetches go back
when a decode that names them is aborted or done, and else after the prefiller's own time-out
(VLLM_NIXL_ABORT_REQUEST_TIMEOUT, 480 seconds).
"""

from typing import Any

import msgspec

from dpd_router.types import Params, Receiver, Reply

_ASK: Params = {
    "do_remote_decode": True,
    "do_remote_prefill": False,
    "remote_engine_id": None,
    "remote_block_ids": None,
    "remote_host": None,
    "remote_port": None,
}


class _Answer(msgspec.Struct, frozen=True):
    kv_transfer_params: dict[str, Any] | None = None


class Nixl:
    """The parameters of vLLM's own connector."""

    pushes = False

    def prefill_params(self, transfer_id: str, tag: str, receiver: Receiver | None) -> Params:  # noqa: ARG002
        """Return what asks a prefiller to keep its blocks; nobody has been chosen to fetch them."""
        return dict(_ASK)

    def decode_params(self, tag: str, reply: Reply | None) -> Params | None:  # noqa: ARG002
        """Return what the prefiller said of its blocks; None when it keeps none."""
        if reply is None:
            return None
        try:
            said = msgspec.json.decode(reply.body, type=_Answer).kv_transfer_params
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return said if said and said.get("do_remote_prefill") else None
