import asyncio
import dataclasses

import pytest

from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.ledger import Buffers
from dpd_router.page_gauges import PageGauges
from dpd_router.pool import Address, Pool, Role
from dpd_router.types import Reply
from dpd_router.usage import Reading, Usage, reading

LABELS = 'model_name="m",role="worker",worker_id'
TEXT = """# HELP lmcache:local_cache_usage Local cache usage (bytes) of lmcache
# TYPE lmcache:local_cache_usage gauge
lmcache:local_cache_usage{%s="0"} 786432.0
lmcache:local_cache_usage{%s="1"} 1.048576e+06
lmcache:active_memory_objs_count{%s="0"} 3.0
lmcache:active_memory_objs_count{%s="1"} 4.0
vllm:num_requests_running{engine="0"} 2.0
""" % ((LABELS,) * 4)


def test_the_fullest_rank_counts_and_a_page_weighs_its_bytes():
    assert reading(TEXT) == Reading(pages=4, page_bytes=262144)


def test_an_empty_buffer_says_nothing_of_a_pages_weight():
    assert reading('lmcache:active_memory_objs_count{a="0"} 0.0\n') == Reading(0, 0)


@pytest.mark.parametrize("text", ["", "vllm:x 1\n", "lmcache:local_cache_usage 5\n"])
def test_an_engine_that_says_nothing_of_its_buffer_is_not_read_as_an_empty_one(text):
    assert reading(text) is None


def test_what_is_no_number_is_none_taken():
    assert reading("lmcache:active_memory_objs_count x\n") == Reading(0, 0)


class Legs:
    """Decoders that answer the next of what they were given."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.asked = []

    async def collect(self, worker, call, request_id):
        self.asked.append((worker.name, call.method, call.target))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step


def metrics(pages, weight=1000, status=200):
    text = f"lmcache:local_cache_usage {pages * weight}\nlmcache:active_memory_objs_count {pages}\n"
    return Reply(status, [], text.encode())


class Watch:
    """A decoder, who looks at it, and what was said of it."""

    def __init__(self, *steps, buffers=None, clock=None):
        self.buffers = buffers or Buffers(100)
        self.pool = Pool("n", self.buffers)
        self.pool.sync(Role.DECODE, {Address(Role.DECODE, "d", 1, (1,), (2,))})
        self.pool.sync(Role.PREFILL, {Address(Role.PREFILL, "p", 1)})
        for worker in self.pool.all():
            self.pool.mark_up(worker)
        self.decoder = self.pool.ready(Role.DECODE)[0]
        self.legs = Legs(*steps)
        self.told: list[str] = []
        self.alarms: list[str] = []
        self.usage = Usage(self.pool, self.buffers, self.legs, 0.01, 1, self.told.append, self.alarms.append)

    def persist(self, monkeypatch):
        """Make every look a window later than the last."""
        loop = asyncio.get_running_loop()
        times = iter(range(0, 10**6, 61))
        monkeypatch.setattr(loop, "time", lambda: float(next(times)))


async def test_only_decoders_are_asked_and_only_for_their_metrics():
    w = Watch(metrics(0))
    await w.usage.round()
    assert w.legs.asked == [("d:1", "GET", "/metrics")]
    assert w.decoder.drift.observed == 0


async def test_a_page_that_was_seen_tells_how_many_a_buffer_has():
    w = Watch(metrics(0), metrics(3, 1000), buffers=Buffers(size=50_000))
    await w.usage.round()
    assert shown(w).get("capacity") is None
    assert await w.decoder.ledger.reserve(1, 0)
    waiting = asyncio.create_task(w.decoder.ledger.reserve(9, 5))
    await asyncio.sleep(0)
    await w.usage.round()
    assert w.decoder.ledger.capacity == 50
    assert await waiting, "who waited for the one before is let in"
    assert w.told == [
        "buffer measured: a page takes 1000 bytes on d:1, so a buffer of 50000 bytes has 50 pages",
    ]


async def test_pages_that_stay_are_alarmed_taken_from_the_ledger_and_given_back(monkeypatch):
    w = Watch(metrics(7), metrics(7), metrics(2), metrics(0))
    w.persist(monkeypatch)
    for capacity in (100, 93, 98, 100):
        await w.usage._look(w.decoder)
        assert w.decoder.ledger.capacity == capacity
    assert [line.partition(";")[0] for line in w.alarms] == [
        "buffer drift: 7 pages of d:1 are taken and no transfer accounts for them"
    ]
    assert w.told == ["buffer drift: 2 of 7 pages of d:1 are left", "buffer drift: 0 of 2 pages of d:1 are left"]


async def test_what_other_routers_may_hold_is_left_out_and_not_alarmed(monkeypatch):
    w = Watch(metrics(50), metrics(50), metrics(51), buffers=Buffers(100, routers=2))
    w.persist(monkeypatch)
    await w.usage._look(w.decoder)
    await w.usage._look(w.decoder)
    assert (w.decoder.ledger.capacity, w.alarms) == (25, [])
    await w.usage._look(w.decoder)
    await w.usage._look(w.decoder)
    assert len(w.alarms) == 1, "one more than the other's whole share"


@pytest.mark.parametrize(
    "fault", [ConnectFailedError("x"), LegDiedError("x"), metrics(5, status=503), Reply(200, [], b"")]
)
async def test_a_decoder_that_does_not_say_is_not_believed_to_be_empty(fault, monkeypatch):
    w = Watch(metrics(7), metrics(7), fault)
    w.persist(monkeypatch)
    for _ in range(3):
        await w.usage._look(w.decoder)
    assert (w.decoder.ledger.lost, w.decoder.drift.observed) == (7, None)


async def test_what_the_ledgers_hold_is_shown_for_decoders_and_what_is_not_known_is_not():
    w = Watch(metrics(4), buffers=Buffers(size=1000))
    assert shown(w) == {"reserved": 0.0, "waiting": 0.0}
    await w.decoder.ledger.reserve(3, 0)
    await w.usage.round()
    assert shown(w) == {"reserved": 3.0, "waiting": 0.0, "capacity": 1.0, "observed": 4.0, "drift": 0.0}


def shown(w):
    families = PageGauges(w.pool).collect()
    pages = [family for family in families if family.name.startswith("dpd_router_pages_")]
    samples = [(family.name, sample) for family in pages for sample in family.samples]
    assert all(sample.labels == {"role": "decode", "worker": "d:1"} for _, sample in samples)
    return {name.removeprefix("dpd_router_pages_"): sample.value for name, sample in samples}


async def test_it_looks_again_and_again_and_not_at_all_when_nothing_is_counted():
    w = Watch(metrics(0))
    chore = asyncio.create_task(w.usage.run())
    async with asyncio.timeout(5):
        while len(w.legs.asked) < 3:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)
    chore.cancel()
    await asyncio.gather(chore, return_exceptions=True)
    await Watch(metrics(0), buffers=Buffers()).usage.run()


async def test_a_router_that_can_count_nothing_says_so():
    w = Watch(metrics(0), buffers=Buffers())
    await dataclasses.replace(w.usage, counts=True).run()
    assert w.alarms[0].startswith(
        "transfer: neither pagesPerDecoder nor bufferBytes, so nothing bounds what is written"
    )
    assert w.legs.asked == []
