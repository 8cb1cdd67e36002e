import asyncio
import contextlib
import json

import pytest

from dpd_router.connectors import connector_named
from dpd_router.errors import ConnectFailedError, LegDiedError, UnavailableError
from dpd_router.types import End, Reason, Reply, Route
from router.fakes import DISAGGREGATED, LONG_ASK, OK, Client, settle, world

# What vLLM's connector answers; the router understands none of it but that something waits.
WAITS = {
    "do_remote_prefill": True,
    "do_remote_decode": False,
    "remote_block_ids": [[7, 8, 9]],
    "remote_engine_id": "engine-1",
    "remote_request_id": "chatcmpl-1",
    "remote_host": "10.0.0.9",
    "remote_port": 5600,
    "tp_size": 4,
    "something_newer": {"kept": True},
}


def prefilled(params=WAITS, **more):
    return Reply(200, [], json.dumps({"choices": [], "kv_transfer_params": params, **more}).encode())


def nixl(plan=None, **settings):
    return world(connector="nixl", plan={"p0:8081": [prefilled()], **(plan or {})}, **settings)


async def test_the_prefiller_is_asked_to_keep_its_blocks_and_the_decoder_is_told_its_words():
    w = nixl()
    await w.ask({**LONG_ASK, "stop": ["x"], "min_tokens": 3})
    assert w.steps == DISAGGREGATED
    (_, _, asked, _), (_, _, decoded, _) = w.legs.log
    assert asked["kv_transfer_params"] == {
        "do_remote_decode": True,
        "do_remote_prefill": False,
        "remote_engine_id": None,
        "remote_block_ids": None,
        "remote_host": None,
        "remote_port": None,
    }
    assert (asked["ignore_eos"], asked["max_tokens"], "stop" in asked, "min_tokens" in asked) == (True, 1, False, False)
    assert decoded == {**LONG_ASK, "stop": ["x"], "min_tokens": 3, "kv_transfer_params": WAITS}
    assert (w.record.route, w.record.transfer) == (Route.DISAGGREGATED, "unchecked")
    assert w.quiet()


async def test_the_decoder_is_the_least_busy_one_when_the_prefill_is_over():
    w = nixl(decoders=2)
    with contextlib.ExitStack() as busy:

        async def others_come():
            for _ in range(2):
                busy.enter_context(w.pool.flight(w.worker("d0:8081")))
            return prefilled()

        w.legs.plan["p0:8081"] = [others_come]
        busy.enter_context(w.pool.flight(w.worker("d1:8081")))
        await w.ask(LONG_ASK)
    assert [entry[1] for entry in w.legs.log] == ["p0:8081", "d1:8081"]


async def test_no_room_is_reserved_in_a_decoder_and_no_notice_waited_for():
    w = nixl()
    await w.ask(LONG_ASK)
    assert w.worker("d0:8081").ledger.high() == 0
    assert w.record.route is Route.DISAGGREGATED


@pytest.mark.parametrize("reply", [OK, prefilled(None), prefilled({"do_remote_prefill": False}), Reply(200, [], b"{")])
async def test_a_prefiller_that_kept_nothing_leaves_the_prompt_to_the_next(reply):
    w = nixl({"p0:8081": [reply], "p1:8081": [prefilled()]}, prefillers=2)
    await w.ask(LONG_ASK)
    assert w.steps.count("prefill_sent") == 2
    assert w.record.route is Route.DISAGGREGATED
    w.legs.plan = {"p0:8081": [reply], "p1:8081": [reply]}
    await w.ask(LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_EMPTY)
    assert w.legs.log[-1][2] == LONG_ASK


@pytest.mark.parametrize("fault", [LegDiedError("cut"), Reply(500, [], b"")])
async def test_what_a_prefiller_that_failed_kept_nobody_can_name_so_nothing_is_drained(fault):
    w = nixl({"p0:8081": [fault]})
    await w.ask(LONG_ASK)
    await settle(w.background)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay"]
    assert w.record.reason is Reason.PREFILL_FAILED
    assert w.quiet()


async def test_a_client_that_left_during_prefill_has_its_blocks_fetched_so_that_the_prefiller_frees_them():
    w = nixl()
    client = Client()

    async def leaves():
        client.gone = True
        return prefilled()

    w.legs.plan["p0:8081"] = [leaves]
    await w.ask(LONG_ASK, client)
    assert w.record.end is End.DRAINED
    (kind, _, body, _) = w.legs.sent_to("d0:8081")[0]
    assert (kind, body["max_tokens"], body["kv_transfer_params"]) == ("collect", 1, WAITS)


async def test_a_decoder_that_cannot_be_reached_leaves_the_kv_to_another():
    w = nixl({"d0:8081": [ConnectFailedError("refused")]}, decoders=2)
    await w.ask(LONG_ASK)
    assert w.legs.sent_to("d1:8081")[0][2]["kv_transfer_params"] == WAITS
    assert w.record.status == 200


async def test_a_decoder_that_died_before_it_fetched_has_another_fetch_for_it():
    w = nixl(decoders=2)

    async def dies(client, first):
        w.pool.mark_down(w.worker("d0:8081"))
        raise LegDiedError("cut")

    w.legs.plan["d0:8081"] = [dies]
    await w.ask(LONG_ASK)
    await settle(w.background)
    sent = {kind: body.get("kv_transfer_params") for kind, _, body, _ in w.legs.sent_to("d1:8081")}
    assert sent == {"relay": None, "collect": WAITS}, (
        "the request is computed anew, and the blocks are fetched for nobody"
    )


async def test_a_late_prefill_is_fetched_by_whoever_can_when_it_comes_after_all():
    w = nixl(prefill_seconds=0.01)
    finish = asyncio.Event()

    async def slow():
        await finish.wait()
        return prefilled()

    w.legs.plan["p0:8081"] = [slow]
    await w.ask(LONG_ASK)
    assert w.record.reason is Reason.PREFILL_LATE
    finish.set()
    await settle(w.background)
    assert [entry[0] for entry in w.legs.sent_to("d0:8081")] == ["relay", "collect"]
    assert w.quiet()


async def test_without_a_decoder_when_the_prefill_is_over_the_client_is_told_to_come_back():
    w = nixl()

    async def gone():
        w.pool.mark_down(w.worker("d0:8081"))
        return prefilled()

    w.legs.plan["p0:8081"] = [gone]
    client = await w.ask(LONG_ASK)
    assert isinstance(client.got[0], UnavailableError)
    assert w.quiet()


REVISIONS = {"p0": "old", "p1": "new", "d0": "old", "d1": "new"}


@pytest.mark.parametrize("connector", ["lmcache", "nixl"])
async def test_a_prefiller_is_never_paired_with_a_decoder_of_another_revision(connector):
    plan = {f"p{i}:8081": [prefilled() for _ in range(20)] for i in range(2)}
    w = world(prefillers=2, decoders=2, connector=connector, revisions=REVISIONS, plan=plan)
    for _ in range(12):
        await w.ask(LONG_ASK)
        assert w.record.route is Route.DISAGGREGATED
    pairs = {(a[1], b[1]) for a, b in zip(w.legs.log[::2], w.legs.log[1::2], strict=True)}
    assert pairs == {("p0:8081", "d0:8081"), ("p1:8081", "d1:8081")}


async def test_a_long_prompt_prefers_the_decoder_that_a_prefiller_goes_with():
    w = world(prefillers=1, decoders=2, revisions={"p0": "new", "d0": "old", "d1": "new"})
    for _ in range(3):
        await w.ask(LONG_ASK)
        assert w.record.route is Route.DISAGGREGATED
    assert w.legs.sent_to("d0:8081") == []


async def test_kv_that_nobody_of_its_revision_is_left_to_fetch_is_computed_anew():
    w = nixl(decoders=2, revisions={"p0": "new", "d0": "new", "d1": "old"})

    async def leaves_no_reader():
        w.pool.mark_down(w.worker("d0:8081"))
        return prefilled()

    w.legs.plan["p0:8081"] = [leaves_no_reader]
    await w.ask(LONG_ASK)
    assert w.legs.sent_to("d1:8081")[0][2] == LONG_ASK
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.DECODER_UNREACHABLE)


@pytest.mark.parametrize("connector", ["lmcache", "nixl"])
async def test_where_no_revision_has_both_roles_decoders_compute_prompts_themselves(connector):
    w = world(connector=connector, revisions={"p0": "new", "d0": "old"}, plan={"p0:8081": [prefilled()]})
    await w.ask(LONG_ASK)
    await settle(w.background)
    assert w.legs.sent_to("d0:8081")[0][2] == LONG_ASK
    assert w.record.route is Route.DIRECT
    assert w.quiet()


def test_both_connectors_say_what_the_path_asks_of_them():
    assert (connector_named("lmcache").pushes, connector_named("nixl").pushes) == (True, False)
