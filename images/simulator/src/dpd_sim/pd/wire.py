"""Messages between a sender's and a receiver's rank, and to the router; msgpack, named by their `type`.

`PageWrite` is the one message the real engines do not have: there the data is written one-sidedly by NIXL, here the
sender says on the init socket which pages now hold which chunk.
"""

from typing import Any

import msgspec


class NixlInitRequest(msgspec.Struct, tag=True):
    """First word of a sender's rank to a receiver's rank, on the init port."""

    local_meta_bytes: bytes


class NixlInitResponse(msgspec.Struct, tag=True):
    """The receiver's agent; here its bytes are the name of this run of the receiver."""

    remote_meta_bytes: bytes


class NixlMemRegRequest(msgspec.Struct, tag=True):
    """The sender's registered memory."""

    local_id: str
    local_xfer_dlist_bytes: bytes


class NixlMemRegResponse(msgspec.Struct, tag=True):
    """The receiver's registered memory; here the number of its pages as text."""

    remote_xfer_dlist_bytes: bytes


class AllocRequest(msgspec.Struct, tag=True):
    """Pages wanted for chunks, on the alloc port."""

    keys: list[str]
    fmt: int
    shape: list[int]
    dtype: str
    last_chunk_toks: int


class AllocResponse(msgspec.Struct, tag=True):
    """Positions in `keys` that need no write, and the pages of the others in order."""

    already_sent_indexes: list[int]
    remote_indexes: list[int]


class PageWrite(msgspec.Struct, tag=True):
    """Simulation only: data of `keys` landed in pages `indexes` of the run `peer`."""

    peer: bytes
    keys: list[str]
    indexes: list[int]


class PageWriteDone(msgspec.Struct, tag=True):
    """Simulation only: the write's completion; false when the peer is not the one that was registered."""

    ok: bool


class ProxyNotif(msgspec.Struct, tag=True):
    """A rank's word to the router that all chunks of a request have been written."""

    req_id: str


class SideMeta(msgspec.Struct, tag=True):
    """NixlConnector's handshake on a prefiller's side channel, asked for and answered with what must match."""

    model: str
    dtype: str
    engine_id: str


class SideRead(msgspec.Struct, tag=True):
    """Simulation only: a decoder has read (or, without blocks, no longer wants) a request's blocks."""

    request_id: str
    blocks: list[int]


class SideDone(msgspec.Struct, tag=True):
    """Simulation only: whether the blocks still were that request's."""

    held: bool


InitMessage = NixlInitRequest | NixlMemRegRequest | PageWrite
InitAnswer = NixlInitResponse | NixlMemRegResponse | PageWriteDone

SideMessage = SideMeta | SideRead | SideDone

_ENCODER = msgspec.msgpack.Encoder()
_INIT: msgspec.msgpack.Decoder[InitMessage] = msgspec.msgpack.Decoder(InitMessage)
_SIDE: msgspec.msgpack.Decoder[SideMessage] = msgspec.msgpack.Decoder(SideMessage)
_ANSWER: msgspec.msgpack.Decoder[InitAnswer] = msgspec.msgpack.Decoder(InitAnswer)


def pack(message: Any) -> bytes:
    """Encode one message."""
    return _ENCODER.encode(message)


def unpack_side(data: bytes) -> SideMessage:
    """Decode what passes on a side channel. Raises msgspec.MsgspecError."""
    return _SIDE.decode(data)


def unpack_init(data: bytes) -> InitMessage:
    """Decode what arrives on an init port. Raises msgspec.MsgspecError."""
    return _INIT.decode(data)


def unpack_answer(data: bytes) -> InitAnswer:
    """Decode an init port's answer. Raises msgspec.MsgspecError."""
    return _ANSWER.decode(data)


def unpack_alloc(data: bytes) -> AllocRequest:
    """Decode what arrives on an alloc port. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(data, type=AllocRequest)


def unpack_pages(data: bytes) -> AllocResponse:
    """Decode an alloc port's answer. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(data, type=AllocResponse)
