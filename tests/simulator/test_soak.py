import asyncio
import math
import random

import pytest

from simulator.engines import Pair, Sim, chat, pair, settled, tagged


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_mix_of_transfers_only_the_pages_of_abandoned_ones_are_left(seed: int) -> None:
    draw = random.Random(seed)
    async with pair(pages=600) as p:
        notices = asyncio.create_task(_drain(p))
        left = sum(await asyncio.gather(*(_one(p, draw.randint(5, 80), i, draw.random()) for i in range(60))))
        assert await p.receiver.used() == [left, left]
        for engine in (p.sender, p.receiver):
            await settled(lambda engine=engine: _idle(engine))  # type: ignore[misc]
        notices.cancel()
        await asyncio.gather(notices, return_exceptions=True)


async def _one(p: Pair, sentences: int, number: int, chance: float) -> int:
    """One request's life; returns the pages it leaves on each rank."""
    body, tag = chat(sentences, salt=f"s{number}"), f"t{number}"
    tokens = int((await p.receiver.answer(body, "/tokenize"))["count"])
    expected = await p.receiver.text(body)
    params = {"disagg_spec": p.spec(), **tagged(tag)}
    await p.sender.answer({**body, "max_tokens": 1, "kv_transfer_params": params})
    if chance < 0.2:
        return math.ceil(tokens / 256)
    if chance < 0.3:
        assert await p.decode(body, "another") == expected
        return math.ceil(tokens / 256)
    assert await p.decode(body, tag) == expected
    return 0


async def _drain(p: Pair) -> None:
    while True:
        await p.pull.recv()


async def _idle(engine: Sim) -> bool:
    state = await engine.state()
    return bool(state["running"] == state["waiting"] == 0 and state["blocks_free"] == state["blocks_total"])
