import asyncio

import pytest

from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.types import End, Outcome, Reason, Reply, Route
from router.fakes import LONG_ASK, SHORT_ASK, settle, world


def answers_when(go_on):
    """A decoder that answers when it may."""

    async def plan(client, first):
        await go_on.wait()
        first(200)
        client.status = 200
        return Outcome(End.COMPLETE, 200)

    return plan


async def test_a_decoder_that_cannot_be_reached_is_replaced_by_one_that_computes_the_whole_prompt():
    w = world(decoders=2, plan={"d0:8081": [ConnectFailedError("refused")]})
    await w.ask(LONG_ASK)
    assert w.legs.sent_to("d1:8081")[0][2] == LONG_ASK
    assert not w.worker("d0:8081").up
    assert (w.record.route, w.record.reason, w.record.status) == (Route.DIRECT, Reason.DECODER_UNREACHABLE, 200)
    assert w.quiet()


async def test_when_no_decoder_can_be_reached_the_client_is_told_when_to_come_back():
    w = world(decoders=2, plan={f"d{i}:8081": [ConnectFailedError("refused")] for i in range(2)})
    client = await w.ask(SHORT_ASK)
    assert client.got[0].status == 503
    assert client.got[0].retry_after == 5
    assert w.record.end is End.UNAVAILABLE


async def test_without_a_healthy_decoder_nothing_is_sent_anywhere():
    w = world(decoders=0)
    client = await w.ask(LONG_ASK)
    assert w.legs.log == []
    assert (client.status, client.got[0].retry_after) == (503, 5)
    assert (w.record.route, w.record.reason) == (Route.NONE, Reason.NO_WORKER)


async def test_a_decoder_that_dies_before_it_answered_is_replaced_by_one_that_computes_the_whole_prompt():
    w = world(decoders=2, capacity=100, plan={"d0:8081": [LegDiedError("cut")]})
    client = await w.ask(LONG_ASK)
    await settle(w.background)
    assert [entry[2] for entry in w.legs.sent_to("d1:8081")] == [LONG_ASK], "its pages are not asked for twice"
    assert client.status == 200
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.DECODER_DIED)
    assert w.quiet()


async def test_what_killed_one_decoder_is_given_to_one_more_and_to_no_third():
    w = world(decoders=4, plan={f"d{i}:8081": [LegDiedError("cut")] for i in range(4)})
    client = await w.ask(SHORT_ASK)
    assert len(w.legs.log) == 2
    assert client.got[0].status == 502
    assert w.record.end is End.UPSTREAM_DIED


async def test_an_engine_that_died_after_its_client_was_told_something_is_not_replaced():
    w = world(decoders=2, plan={"d0:8081": [LegDiedError("cut", told=True)]})
    client = await w.ask(SHORT_ASK)
    assert w.legs.sent_to("d1:8081") == []
    assert client.got[0].status == 502
    assert w.record.end is End.UPSTREAM_DIED


async def test_an_engine_that_is_too_late_is_not_replaced():
    w = world(decoders=2, plan={"d0:8081": [LegDiedError("silent", late=True)]})
    client = await w.ask(SHORT_ASK)
    assert w.legs.sent_to("d1:8081") == []
    assert (client.got[0].status, client.got[0].kind) == (504, "timeout_error")


async def test_decoders_compute_only_so_many_prompts_that_a_prefiller_should_have():
    w = world(prefillers=0, fallbacks=1)
    go_on = asyncio.Event()

    w.legs.plan["d0:8081"] = [answers_when(go_on)]
    one = asyncio.create_task(w.ask(LONG_ASK))
    while not w.legs.log:  # noqa: ASYNC110 - the fake has no event for it
        await asyncio.sleep(0)
    refused = await w.ask(LONG_ASK)
    assert (refused.status, refused.got[0].code, refused.got[0].retry_after) == (503, "fallbacks_exhausted", 5)
    assert (await w.ask(SHORT_ASK)).status == 200, "what is short was never a prefiller's"
    go_on.set()
    await one
    assert (await w.ask(LONG_ASK)).status == 200
    assert w.quiet()


@pytest.mark.parametrize("fault", [Reply(400, [], b""), Reply(500, [], b""), LegDiedError("cut")])
async def test_a_decode_that_ends_before_it_read_its_pages_is_followed_by_a_drain(fault):
    w = world(capacity=100, plan={"d0:8081": [fault]})
    await w.ask(LONG_ASK)
    assert w.worker("d0:8081").ledger.used == 79, "the pages are still taken"
    await settle(w.background)
    relayed, drained = w.legs.sent_to("d0:8081")
    assert (relayed[0], drained[0], drained[2]["max_tokens"]) == ("relay", "collect", 1)
    assert drained[2]["kv_transfer_params"] == relayed[2]["kv_transfer_params"]
    assert w.quiet()


async def test_a_stream_that_breaks_after_its_first_byte_is_not_drained():
    w = world(capacity=100)

    async def breaks(client, first):
        client.status = 200
        first(200)
        raise LegDiedError("cut")

    w.legs.plan["d0:8081"] = [breaks]
    await w.ask(LONG_ASK)
    assert w.record.end is End.UPSTREAM_DIED
    assert len(w.legs.sent_to("d0:8081")) == 1
    assert w.quiet()


async def test_a_direct_request_that_fails_has_nothing_to_drain():
    w = world(plan={"d0:8081": [Reply(400, [], b"")]})
    await w.ask(SHORT_ASK)
    assert len(w.background) == 0
    assert len(w.legs.log) == 1


async def test_pages_are_held_until_the_decoders_first_byte():
    w = world(capacity=100)
    held = []

    async def answer(client, first):
        held.append(w.worker("d0:8081").ledger.used)
        first(200)
        held.append(w.worker("d0:8081").ledger.used)
        client.status = 200
        return Outcome(End.COMPLETE, 200)

    w.legs.plan["d0:8081"] = [answer]
    await w.ask(LONG_ASK)
    assert held == [79, 0]


async def test_pages_that_a_prompt_turned_out_not_to_need_are_given_back_when_the_prefiller_has_counted_it():
    counted = Reply(200, [], b'{"choices":[],"usage":{"prompt_tokens":5121}}')
    w = world(capacity=100, plan={"p0:8081": [counted]})
    held = []

    async def answer(client, first):
        held.append(w.worker("d0:8081").ledger.used)
        first(200)
        client.status = 200
        return Outcome(End.COMPLETE, 200)

    w.legs.plan["d0:8081"] = [answer]
    await w.ask(LONG_ASK)
    assert held == [21]
    assert w.quiet()


async def test_a_transfer_that_finds_no_room_in_time_goes_direct():
    w = world(capacity=80)
    await w.worker("d0:8081").ledger.reserve(10, 1)
    await w.ask(LONG_ASK)
    assert w.legs.sent_to("p0:8081") == []
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.BUFFER_FULL)


async def test_a_transfer_waits_for_room():
    w = world(capacity=80, room_seconds=5)
    ledger = w.worker("d0:8081").ledger
    await ledger.reserve(10, 1)
    asyncio.get_running_loop().call_later(0.02, ledger.release, 10)
    await w.ask(LONG_ASK)
    assert w.record.route is Route.DISAGGREGATED
    assert w.quiet()


async def test_the_least_busy_decoder_answers():
    w = world(decoders=2)
    with w.pool.flight(w.worker("d1:8081")), w.pool.flight(w.worker("d0:8081")), w.pool.flight(w.worker("d0:8081")):
        await w.ask(SHORT_ASK)
    assert w.legs.log[0][1] == "d1:8081"


async def test_a_decoder_that_dies_is_stood_in_for_by_one_that_is_left_alone_for_failing():
    w = world(decoders=2, plan={"d0:8081": [LegDiedError("cut")]})
    suspect = w.worker("d1:8081")
    for _ in range(5):
        w.pool.failed(suspect)
    assert not w.pool.is_ready(suspect)
    client = await w.ask(SHORT_ASK)
    assert [entry[2] for entry in w.legs.sent_to("d1:8081")] == [SHORT_ASK]
    assert client.status == 200


async def test_a_prompt_waits_until_decoders_may_compute_it():
    w = world(prefillers=0, fallbacks=1, queue=1)
    go_on = asyncio.Event()

    w.legs.plan["d0:8081"] = [answers_when(go_on)]
    one, other = asyncio.create_task(w.ask(LONG_ASK)), asyncio.create_task(w.ask(LONG_ASK))
    while not w.legs.log:  # noqa: ASYNC110 - the fake has no event for it
        await asyncio.sleep(0)
    go_on.set()
    assert [each.status for each in await asyncio.gather(one, other)] == [200, 200]
    assert w.quiet()
