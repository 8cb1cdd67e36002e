import asyncio
import json

from dpd_router.ask import Ask
from dpd_router.tags import Tags
from dpd_router.types import End, Outcome, Reason, Reply, Route
from router.fakes import LONG_ASK, OK, Client, settle, world


async def test_who_may_have_written_nothing_reads_when_everybody_else_has_read():
    tags, order = Tags(), []
    mine, other = tags.enter("t"), tags.enter("t")
    tags.enter("another")

    async def read():
        async with mine.alone():
            order.append("mine")

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    assert order == []
    other.leave()
    other.leave()
    await reading
    assert order == ["mine"]


async def test_those_who_wait_to_be_alone_come_one_after_the_other():
    tags, at_once = Tags(), []
    inside = 0

    async def read(share):
        nonlocal inside
        async with share.alone():
            inside += 1
            at_once.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(read(tags.enter("t")) for _ in range(3)))
    assert at_once == [1, 1, 1]


async def test_a_failed_prefills_drain_takes_no_page_of_a_transfer_under_the_same_tag():
    w = world(capacity=1000)
    read = asyncio.Event()

    async def decodes(client, first):
        await read.wait()
        client.status = 200
        first(200)
        return Outcome(End.COMPLETE, 200)

    w.legs.plan = {"p0:8081": [OK, Reply(500, [], b"")], "d0:8081": [decodes]}
    first = asyncio.create_task(w.path.serve(*asked("first")))
    while not w.legs.sent_to("d0:8081"):  # noqa: ASYNC110 - the fakes have no event
        await asyncio.sleep(0)
    await w.ask(LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_FAILED)
    await asyncio.sleep(0.01)
    assert [kind for kind, *_ in w.legs.sent_to("d0:8081")] == ["relay", "relay"], (
        "the first has not read its pages yet"
    )
    read.set()
    await first
    await settle(w.background)
    assert [kind for kind, *_ in w.legs.sent_to("d0:8081")] == ["relay", "relay", "collect"]
    await w.ask(LONG_ASK)
    tags = [body["kv_transfer_params"]["lmcache.tag.p"] for _, _, body, _ in w.legs.sent_to("p0:8081")]
    assert tags[0] == tags[1] != tags[2], "and nobody comes under that tag any more"
    assert w.quiet()


def asked(name):
    return Ask("POST", "/v1/chat/completions", "", [], json.dumps(LONG_ASK).encode(), name), Client()
