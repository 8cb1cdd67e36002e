"""vLLM's event batches as bytes: `[time, [event, …], rank]` in msgpack, each event `[name, field, …]`. No I/O.

Fields that later versions append are passed over, those that earlier ones lack have defaults.
"""

from typing import TypeVar

import msgspec

from dpd_router.strategies.kvindex import Index

W = TypeVar("W")

# What lies in an engine's own memory. Blocks elsewhere have hashes of their own and come back only after a load.
_GPU = frozenset({None, "GPU", "gpu"})


class Stored(msgspec.Struct, array_like=True, tag="BlockStored"):
    """Blocks that are now cached, one after the other; `extra_keys` is what beside the tokens is in a block's hash."""

    block_hashes: list[int | bytes]
    parent_block_hash: int | bytes | None
    token_ids: list[int]
    block_size: int
    lora_id: int | None = None
    medium: str | None = None
    lora_name: str | None = None
    extra_keys: list[list[object] | None] | None = None


class Removed(msgspec.Struct, array_like=True, tag="BlockRemoved"):
    """Blocks that are no longer cached."""

    block_hashes: list[int | bytes]
    medium: str | None = None


class Cleared(msgspec.Struct, array_like=True, tag="AllBlocksCleared"):
    """Nothing is cached any more."""


class Batch(msgspec.Struct, array_like=True):
    """What happened in one step of an engine; `at` is its own clock, in seconds."""

    at: float
    events: list[Stored | Removed | Cleared]
    rank: int | None = None


_DECODER = msgspec.msgpack.Decoder(Batch)


def read(payload: bytes) -> Batch:
    """Return a batch. Raises msgspec.MsgspecError."""
    return _DECODER.decode(payload)


def apply(batch: Batch, index: Index[W], worker: W) -> None:
    """Write a batch to the index. Blocks of an adapter, a picture or a salt are nobody else's, and are left out."""
    for event in batch.events:
        match event:
            case Stored():
                if event.medium in _GPU and _plain(event):
                    hashes = event.block_hashes
                    index.stored(worker, hashes, event.parent_block_hash, event.token_ids, event.block_size)
            case Removed():
                if event.medium in _GPU:
                    index.removed(worker, event.block_hashes)
            case Cleared():
                index.clear(worker)


def _plain(event: Stored) -> bool:
    own = event.lora_id is None and event.lora_name is None
    return own and not any(event.extra_keys or ())
