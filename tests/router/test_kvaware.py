"""kvaware with simulated engines as processes: they tell of their caches as vLLM does, the router follows."""

import asyncio
import contextlib
import json
import re

import httpx
import pytest

from dpd_router.pool import Role
from router.rig import router
from router.simulated import Sim
from support.ports import free_ports

FOX = "The quick brown fox jumps over the lazy dog. "


class Teller(Sim):
    """An engine that publishes its KV events."""

    def __init__(self, folder, cached_blocks=512):
        self.events, self.replay, port = free_ports(3)
        told = {
            "enable_kv_cache_events": True,
            "endpoint": f"tcp://*:{self.events}",
            "replay_endpoint": f"tcp://*:{self.replay}",
        }
        arguments = ["--max-model-len", "4096", "--kv-events-config", json.dumps(told)]
        arguments += ["--num-gpu-blocks-override", str(cached_blocks)]
        super().__init__(port, None, arguments, folder / f"{port}.log")

    @property
    def name(self):
        return f"127.0.0.1:{self.port}"

    def lose(self, count=1, forget=False):
        httpx.post(f"{self.url}/sim/lose-events", json={"count": count, "forget": forget}).raise_for_status()

    def chat(self, text):
        answer = self.post("/v1/chat/completions", chat(text))
        assert answer.status_code == 200, answer.text


def chat(text):
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 1}


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    made = [Teller(tmp_path_factory.mktemp("engines")) for _ in range(2)]
    try:
        for each in made:
            each.start()
        for each in made:
            each.wait()
        yield made
    finally:
        for each in made:
            each.kill()


@pytest.fixture(autouse=True)
def empty(engines):
    for each in engines:
        assert each.post("/sim/reset-prefix-cache", {}).json() == {"done": True}


@contextlib.asynccontextmanager
async def following(engines, **routing):
    """A router over the engines, and the index of its strategy."""
    ports = {each.name: {"port": each.events, "replayPort": each.replay} for each in engines}
    section = {
        "strategy": "kvaware",
        "explain": True,
        "kvEvents": {"replaySeconds": 2, "workers": ports},
        "tokenizer": {"mode": "engine", "timeoutSeconds": 5},
        **routing,
    }
    async with router(worker=engines, routing=section) as up:
        yield up


async def until(up, check):
    await up.until(check, 60)


async def listening(up, *engines):
    """Wait until the router hears what engines tell from now on: their first words may come before it listens."""
    for number, engine in enumerate(engines):
        before = feeds(up).heard.batches
        while feeds(up).heard.batches < before + 3:
            number += 2
            engine.chat(f"Does anybody listen? {number} " + FOX)
            await asyncio.sleep(0.02)
        engine.post("/sim/reset-prefix-cache", {})
        await until(up, lambda e=engine: held(up, e) == 0)


def feeds(up):
    return up.router.choosing.feeds[Role.WORKER]


def held(up, engine):
    """Blocks that the router knows an engine to hold."""
    index = feeds(up).index
    return next(len(index._held[each].keys) for each in up.router.pool.all() if each.name == engine.name)


async def chosen(up, text):
    """Who a chat is sent to."""
    answer = await up.post(chat(text))
    assert b" 200 " in answer.split(b"\r\n")[0], answer
    found = re.search(rb"x-dpd-decision: .*decoder=([^;\r]+)", answer)
    assert found, answer
    return found.group(1).decode()


async def test_a_chat_goes_to_the_engine_that_holds_it_whoever_put_it_there(engines):
    async with following(engines) as up:
        await listening(up, *engines)
        for number, engine in enumerate(engines * 2):
            text = f"Story {number}. " + FOX * 40
            engine.chat(text)
            before = held(up, engine)
            await until(up, lambda e=engine, n=before: held(up, e) >= max(n, 20))
            assert await chosen(up, text + f" And then, {number}?") == engine.name


async def test_a_router_that_comes_late_asks_for_what_was_told_before(engines):
    engines[1].chat("Before anybody listened. " + FOX * 40)
    async with following(engines) as up:
        await until(up, lambda: held(up, engines[1]) > 20)
        assert await chosen(up, "Before anybody listened. " + FOX * 40) == engines[1].name


async def test_a_gap_is_filled_by_asking_for_what_is_missing(engines):
    async with following(engines) as up:
        await listening(up, engines[0])
        engines[0].lose()
        engines[0].chat("The lost one. " + FOX * 40)
        engines[0].chat("The one that shows the gap. " + FOX * 10)
        await until(up, lambda: feeds(up).heard.gaps == 1)
        await until(up, lambda: held(up, engines[0]) > 30)
        assert feeds(up).heard.lost == 0
        assert await chosen(up, "The lost one. " + FOX * 40) == engines[0].name


async def test_where_nothing_can_be_asked_for_an_engines_blocks_are_forgotten_and_told_anew(engines):
    async with following(engines) as up:
        await listening(up, engines[0])
        engines[0].chat("Known. " + FOX * 40)
        await until(up, lambda: held(up, engines[0]) > 20)
        engines[0].lose(count=1, forget=True)
        engines[0].chat("The lost one. " + FOX * 40)
        engines[0].lose(count=0, forget=True)
        engines[0].chat("After the gap. " + FOX * 40)
        await until(up, lambda: feeds(up).heard.lost == 1)
        assert feeds(up).index.orphans > 0
        text = (
            "What follows words that are no longer known is understood when the router has seen the prompt. " + FOX * 40
        )
        first = await chosen(up, text)
        holder = next(each for each in engines if each.name == first)
        await until(up, lambda: held(up, holder) > 20)
        assert await chosen(up, text) == first
        text = up.router.app.metrics.text().decode()
        assert 'dpd_router_kv_events_total{kind="lost",role="worker"} 1.0' in text


async def test_a_cache_that_is_cleared_holds_nothing(engines):
    async with following(engines) as up:
        await listening(up, engines[0])
        engines[0].chat("Known. " + FOX * 40)
        await until(up, lambda: held(up, engines[0]) > 20)
        engines[0].post("/sim/reset-prefix-cache", {})
        await until(up, lambda: held(up, engines[0]) == 0)
        assert await chosen(up, "Known. " + FOX * 40) in {each.name for each in engines}


async def test_blocks_that_are_evicted_are_forgotten(engines, tmp_path):
    small = Teller(tmp_path, cached_blocks=64)
    try:
        small.start()
        small.wait()
        async with following([small]) as up:
            await listening(up, small)
            before = feeds(up).heard.batches
            for number in range(6):
                small.chat(f"Story {number}. " + FOX * 30)
            await until(up, lambda: feeds(up).heard.batches >= before + 6)
            assert 0 < held(up, small) <= 64
    finally:
        small.kill()


async def test_an_engine_that_comes_back_holds_nothing_until_it_says_so(engines):
    async with following(engines) as up:
        await listening(up, engines[1])
        engines[1].chat("Known. " + FOX * 40)
        await until(up, lambda: held(up, engines[1]) > 20)
        engines[1].kill()
        await until(up, lambda: len(up.router.pool.ready(Role.WORKER)) == 1)
        assert await chosen(up, "Known. " + FOX * 40) == engines[0].name
        engines[1].start()
        engines[1].wait()
        await until(up, lambda: all(each.up for each in up.router.pool.all()))
        assert held(up, engines[1]) == 0
        await listening(up, engines[1])
        engines[1].chat("Told anew. " + FOX * 40)
        await until(up, lambda: held(up, engines[1]) > 20)
        assert await chosen(up, "Told anew. " + FOX * 40) == engines[1].name


async def test_an_engine_that_does_not_count_is_no_obstacle(engines):
    """Its own answer to a chat it cannot count is what the client gets."""
    async with following(engines) as up:
        answer = await up.post({"model": "nobody knows it", "messages": [{"role": "user", "content": "hi"}]})
        assert re.match(rb"HTTP/1.1 \d+ ", answer)
        picture = [{"type": "image_url", "image_url": {"url": "http://x/y"}}]
        answer = await up.post({"model": "m", "messages": [{"role": "user", "content": picture}], "max_tokens": 1})
        assert re.match(rb"HTTP/1.1 \d+ ", answer)
