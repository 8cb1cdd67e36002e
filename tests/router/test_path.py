import asyncio

import pytest

from dpd_router import handover
from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.types import End, Reason, Reply, Route
from router.fakes import DISAGGREGATED, LONG_ASK, OK, SHORT_ASK, Client, settle, world

TAG = {"lmcache.tag.p": "p0:8081/nonce.0"}


async def test_a_short_prompt_goes_to_the_decoder_as_it_is():
    w = world()
    await w.ask(SHORT_ASK)
    assert w.steps == ["accepted", "decided", "decode_sent", "first_byte", "ended"]
    assert w.legs.log == [("relay", "d0:8081", SHORT_ASK, False)]
    assert (w.record.route, w.record.reason, w.record.end) == (Route.DIRECT, Reason.SHORT, End.COMPLETE)


async def test_a_long_prompt_is_prefilled_transferred_and_decoded_under_one_tag():
    w = world()
    await w.ask(LONG_ASK)
    assert w.steps == DISAGGREGATED
    (_, prefiller, asked, _), (_, decoder, decoded, hold) = w.legs.log
    assert (prefiller, decoder, hold) == ("p0:8081", "d0:8081", True)
    assert asked["max_tokens"] == 1
    assert asked["kv_transfer_params"] == {
        "disagg_spec": {
            "req_id": "t1",
            "receiver_host": "d0",
            "receiver_init_port": [7300],
            "receiver_alloc_port": [7400],
        },
        **TAG,
    }
    assert decoded == {**LONG_ASK, "kv_transfer_params": TAG}
    assert (w.record.route, w.record.reason, w.record.transfer) == (
        Route.DISAGGREGATED,
        Reason.THRESHOLD,
        "confirmed",
    )
    assert w.quiet()


async def test_the_log_says_what_the_runbooks_look_for():
    w = world()
    await w.ask({"messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 600}]})
    assert w.lines[0] == "Conditional routing: estimated_tokens=6750, threshold=4096, disaggregate=True"
    assert w.lines[1].startswith("prefill selection: prefiller=p0:8081 strategy=roundrobin receiver=d0:8081 attempt=1")
    assert w.lines[2].startswith("prefill time: seconds=")
    assert w.lines[4].startswith("request to decoder: decoder=d0:8081 tag=p0:8081/nonce.0")
    assert (w.record.status, w.record.route, w.record.reason) == (200, Route.DISAGGREGATED, Reason.THRESHOLD)
    assert (w.record.prefiller, w.record.decoder, w.record.end) == ("p0:8081", "d0:8081", End.COMPLETE)
    await w.ask(SHORT_ASK)
    assert "Conditional routing: estimated_tokens=0, threshold=4096, disaggregate=False" in w.lines


async def test_a_missing_notice_is_counted_and_the_decoder_is_asked_all_the_same():
    w = world()
    w.notices.come = False
    await w.ask(LONG_ASK)
    assert w.steps == DISAGGREGATED
    assert w.record.transfer == "unconfirmed"


@pytest.mark.parametrize("fault", [LegDiedError("cut"), Reply(500, [], b""), Reply(502, [], b"")])
async def test_when_a_prefiller_fails_another_takes_over_under_its_own_tag_and_the_first_ones_pages_are_drained(fault):
    w = world(prefillers=2, plan={"p0:8081": [fault]})
    await w.ask(LONG_ASK)
    await settle(w.background)
    assert w.steps.count("prefill_sent") == 2
    assert w.record.route is Route.DISAGGREGATED
    first, second = w.legs.sent_to("p0:8081")[0][2], w.legs.sent_to("p1:8081")[0][2]
    assert first["kv_transfer_params"]["disagg_spec"]["req_id"] != second["kv_transfer_params"]["disagg_spec"]["req_id"]
    drains = [entry for entry in w.legs.sent_to("d0:8081") if entry[0] == "collect"]
    assert [(drain[2]["kv_transfer_params"], drain[2]["max_tokens"]) for drain in drains] == [(TAG, 1)]
    assert drains[0][3] == "r1-drain-1", "an engine may refuse two requests of one id"
    relayed = next(entry for entry in w.legs.sent_to("d0:8081") if entry[0] == "relay")
    assert relayed[2]["kv_transfer_params"] == {"lmcache.tag.p": "p1:8081/nonce.1"}
    assert w.quiet()


async def test_a_prefiller_that_broke_off_gets_a_new_tag():
    w = world(plan={"p0:8081": [LegDiedError("cut")]})
    await w.ask(LONG_ASK)
    await w.ask(LONG_ASK)
    await settle(w.background)
    tags = [entry[2]["kv_transfer_params"]["lmcache.tag.p"] for entry in w.legs.sent_to("p0:8081")]
    assert all(tag.startswith("p0:8081/nonce.") for tag in tags)
    assert len(set(tags)) == 2


async def test_a_prefiller_that_cannot_be_reached_leaves_nothing_to_drain_and_is_not_asked_again():
    w = world(plan={"p0:8081": [ConnectFailedError("refused")]})
    await w.ask(LONG_ASK)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay"]
    assert not w.worker("p0:8081").up
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_FAILED)
    await w.ask(LONG_ASK)
    assert w.record.reason is Reason.NO_PREFILLER
    assert len(w.legs.sent_to("p0:8081")) == 1


async def test_without_a_prefiller_left_the_decoder_gets_the_clients_own_bytes():
    w = world(prefillers=2, plan={"p0:8081": [Reply(500, [], b"")], "p1:8081": [Reply(503, [], b"")]})
    await w.ask(LONG_ASK)
    await settle(w.background)
    relayed = next(entry for entry in w.legs.sent_to("d0:8081") if entry[0] == "relay")
    assert relayed[2] == LONG_ASK
    assert (w.record.route, w.record.reason, w.record.status) == (Route.DIRECT, Reason.PREFILL_FAILED, 200)
    assert w.quiet()


async def test_two_prefillers_are_tried_and_no_more():
    w = world(prefillers=4, plan={f"p{i}:8081": [Reply(500, [], b"")] for i in range(4)})
    await w.ask(LONG_ASK)
    await settle(w.background)
    assert w.steps.count("prefill_sent") == 2
    assert w.record.status == 200


@pytest.mark.parametrize("reply", [Reply(429, [], b""), Reply(503, [(b"X-Dpd-Upstream", b"limited")], b"")])
async def test_a_busy_prefiller_leaves_nothing_to_drain(reply):
    w = world(plan={"p0:8081": [reply]})
    await w.ask(LONG_ASK)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay"]
    assert w.record.route is Route.DIRECT


async def test_a_request_that_a_prefiller_refuses_is_refused_by_the_decoder_in_words_about_the_clients_own():
    refusal = Reply(400, [], b'{"error":{}}')
    w = world(prefillers=2, plan={"p0:8081": [refusal]})
    await w.ask(LONG_ASK)
    assert w.legs.sent_to("p1:8081") == []
    (sent,) = w.legs.sent_to("d0:8081")
    assert (sent[0], sent[2]) == ("relay", LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_REFUSED)
    assert w.quiet()


async def test_a_prefill_whose_client_leaves_is_finished_and_drained():
    w = world()
    client = Client()

    async def leaves():
        client.gone = True
        return OK

    w.legs.plan["p0:8081"] = [leaves]
    await w.ask(LONG_ASK, client)
    assert w.steps == [
        "accepted",
        "decided",
        "prefill_sent",
        "prefill_ended",
        "transferred",
        "drained",
        "ended",
    ]
    (_, _, body, request_id) = w.legs.sent_to("d0:8081")[0]
    assert (body["max_tokens"], body["stream"], body["kv_transfer_params"]) == (1, False, TAG)
    assert request_id == "r1-drain-1"
    assert w.record.end is End.DRAINED
    assert w.quiet()


async def test_no_second_prefill_is_begun_for_a_client_that_left():
    w = world(prefillers=2)
    client = Client()

    async def leaves():
        client.gone = True
        return Reply(500, [], b"")

    w.legs.plan["p0:8081"] = [leaves]
    await w.ask(LONG_ASK, client)
    await settle(w.background)
    assert w.legs.sent_to("p1:8081") == []
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["collect"]
    assert w.record.end is End.CLIENT_LEFT
    assert w.quiet()


async def test_a_client_that_left_before_anything_was_sent_costs_nothing():
    w = world()
    await w.ask(LONG_ASK, Client(gone=True))
    assert w.legs.log == []
    assert w.record.end is End.CLIENT_LEFT
    assert w.quiet()


async def test_a_prefill_that_takes_too_long_is_let_run_while_the_decoder_prefills_and_is_drained_in_the_end():
    w = world(prefill_seconds=0.01)
    finish = asyncio.Event()

    async def slow():
        await finish.wait()
        return OK

    w.legs.plan["p0:8081"] = [slow]
    await w.ask(LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_LATE)
    assert len(w.background) == 2, "the prefill goes on, and someone waits for it"
    finish.set()
    await settle(w.background)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay", "collect"]
    assert w.quiet()


async def test_a_prefiller_that_is_late_is_given_no_more_until_it_has_ended_and_keeps_what_was_reserved():
    w = world(prefillers=1, capacity=1000, prefill_seconds=0.01)
    finish = asyncio.Event()

    async def slow():
        await finish.wait()
        return OK

    w.legs.plan["p0:8081"] = [slow]
    await w.ask(LONG_ASK)
    held = w.worker("d0:8081").ledger.used
    assert held
    for _ in range(3):
        await w.ask(LONG_ASK)
        assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.NO_PREFILLER)
    assert (len(w.legs.sent_to("p0:8081")), w.worker("d0:8081").ledger.used) == (1, held)
    finish.set()
    await settle(w.background)
    assert w.quiet()
    await w.ask(LONG_ASK)
    assert w.record.route is Route.DISAGGREGATED
    assert len(w.legs.sent_to("p0:8081")) == 2


async def test_a_prefiller_that_stops_answering_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(handover, "LOOK_SECONDS", 0.01)
    w = world(prefillers=1, capacity=1000)
    finish = asyncio.Event()

    async def slow():
        w.pool.mark_down(w.worker("p0:8081"))
        await finish.wait()
        return OK

    w.legs.plan["p0:8081"] = [slow]
    await w.ask(LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_LATE)
    assert w.worker("d0:8081").ledger.used, "its pages may yet be written"
    finish.set()
    await settle(w.background)
    assert w.quiet()


async def test_others_take_what_a_late_prefiller_does_not_get():
    w = world(prefillers=2, prefill_seconds=0.01)
    finish = asyncio.Event()

    async def slow():
        await finish.wait()
        return OK

    w.legs.plan["p0:8081"] = [slow]
    for _ in range(4):
        await w.ask(LONG_ASK)
        assert w.record.status == 200
    assert (len(w.legs.sent_to("p0:8081")), len(w.legs.sent_to("p1:8081"))) == (1, 4)
    finish.set()
    await settle(w.background)
    assert w.quiet()


async def test_colocated_workers_get_everything_and_the_strategy_chooses():
    w = world(prefillers=0, decoders=0, workers=2)
    await w.ask(LONG_ASK)
    await w.ask(LONG_ASK)
    assert [entry[:2] for entry in w.legs.log] == [("relay", "w0:8081"), ("relay", "w1:8081")]
    assert w.record.reason is Reason.COLOCATED


async def test_a_request_that_does_not_parse_is_refused_without_a_leg():
    w = world()
    client = await w.ask(b"{")
    assert client.status == 400
    assert w.steps == ["accepted", "ended"]
    assert (w.record.route, w.record.reason, w.record.end) == (Route.NONE, Reason.INVALID, End.REFUSED)


async def test_every_kind_of_request_is_reported_once():
    w = world()
    for body in (SHORT_ASK, LONG_ASK, b"{", b"[]"):
        await w.ask(body)
    assert [each.status for each in w.records] == [200, 200, 400, 400]
    assert [each.code for each in w.records] == ["", "", "invalid_json", "invalid_json"]


async def test_a_mistake_in_the_prefill_leg_keeps_no_room_in_the_decoder():
    w = world(capacity=100, plan={"p0:8081": [ZeroDivisionError("ours")]})
    with pytest.raises(ZeroDivisionError):
        await w.ask(LONG_ASK)
    assert w.worker("d0:8081").ledger.used == 0
    assert w.worker("d0:8081").in_flight == 0


async def test_a_client_that_leaves_while_it_waits_for_room_takes_none():
    w = world(capacity=80, room_seconds=5)
    ledger = w.worker("d0:8081").ledger
    await ledger.reserve(10, 1)
    client = Client()

    def room():
        client.gone = True
        ledger.release(10)

    asyncio.get_running_loop().call_later(0.02, room)
    await w.ask(LONG_ASK, client)
    assert w.legs.log == []
    assert w.quiet()


async def test_a_late_prefill_that_never_began_leaves_nothing_to_drain():
    w = world(prefill_seconds=0.01)
    finish = asyncio.Event()

    async def slow():
        await finish.wait()
        return ConnectFailedError("timed out")

    w.legs.plan["p0:8081"] = [slow]
    await w.ask(LONG_ASK)
    finish.set()
    await settle(w.background)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay"]
    assert w.quiet()


async def test_a_drain_of_a_decoder_that_is_gone_frees_its_pages():
    w = world(capacity=100)
    client = Client()

    async def leaves():
        client.gone = True
        return OK

    w.legs.plan = {"p0:8081": [leaves], "d0:8081": [ConnectFailedError("refused")]}
    await w.ask(LONG_ASK, client)
    assert w.record.end is End.DRAINED
    assert w.quiet()
