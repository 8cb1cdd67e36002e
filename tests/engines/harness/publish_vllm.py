"""vLLM's own publisher and events, without an engine; run by vLLM's interpreter.

Each line `next` publishes the next batch, any other line one that changes nothing.
"""

import sys
import time

from vllm.config.kv_events import KVEventsConfig  # type: ignore[import-not-found]
from vllm.distributed.kv_events import (  # type: ignore[import-not-found]
    MEDIUM_GPU,
    AllBlocksCleared,
    BlockRemoved,
    BlockStored,
    EventPublisherFactory,
    KVEventBatch,
)

TOKENS = list(range(100, 148))
BYTES = b"x" * 32  # a whole hash, as engines tell it when they are not to cut it to 64 bits


def stored(hashes: list[int | bytes], parent: int | None, tokens: list[int]) -> BlockStored:
    return BlockStored(
        block_hashes=hashes,
        parent_block_hash=parent,
        token_ids=tokens,
        block_size=16,
        lora_id=None,
        medium=MEDIUM_GPU,
        lora_name=None,
        extra_keys=[None for _ in hashes],
    )


def main() -> None:
    events, replay = sys.argv[1:]
    config = KVEventsConfig(
        enable_kv_cache_events=True,
        publisher="zmq",
        endpoint=f"tcp://*:{events}",
        replay_endpoint=f"tcp://*:{replay}",
    )
    publisher = EventPublisherFactory.create(config, 0)
    batches = [
        stored([2**63 + 1, 5], None, TOKENS[:32]),
        stored([BYTES], 5, TOKENS[32:]),
        BlockRemoved(block_hashes=[BYTES], medium=MEDIUM_GPU),
        AllBlocksCleared(),
    ]
    nothing = BlockRemoved(block_hashes=[12345], medium=MEDIUM_GPU)
    for line in sys.stdin:
        event = batches.pop(0) if line == "next\n" else nothing
        publisher.publish(KVEventBatch(ts=time.time(), events=[event]))
        print("published", flush=True)


if __name__ == "__main__":
    main()
