"""The simulator's publisher, with the same batches as vLLM's in publish_vllm.py."""

import asyncio
import sys

from dpd_sim.core.block_events import BlockEvents
from dpd_sim.kv_events import EventsConfig, Publisher

TOKENS = list(range(100, 148))


async def main() -> None:
    events, replay = sys.argv[1:]
    config = EventsConfig(True, "zmq", f"tcp://*:{events}", f"tcp://*:{replay}")
    publisher, told = Publisher(config), BlockEvents()
    batches = [
        lambda: told.stored([2**63 + 1, 5], None, TOKENS[:32], 16),
        lambda: told.stored([7], 5, TOKENS[32:], 16),
        lambda: told.removed(7),
        told.cleared,
    ]
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line == "next\n":
            batches.pop(0)()
        else:
            told.removed(12345)
        publisher.publish(told.take())
        print("published", flush=True)
    await publisher.close()


if __name__ == "__main__":
    asyncio.run(main())
