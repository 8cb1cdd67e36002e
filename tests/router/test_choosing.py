import re

import pytest

from dpd_router.errors import ConnectFailedError
from dpd_router.pool import Role
from dpd_router.stages.observe import access
from dpd_router.types import Gates, Prompt, Reason, Reply, Route, SessionKeys
from router.fakes import LONG_ASK, SHORT_ASK, world
from router.rig import engine, long, router, short

HEADER = re.compile(rb"\r\nx-dpd-decision: ([^\r]*)\r\n", re.IGNORECASE)


@pytest.mark.parametrize(
    ("body", "shape", "decision"),
    [
        (SHORT_ASK, {}, "direct; reason=short"),
        (LONG_ASK, {}, "disaggregated; reason=threshold"),
        (LONG_ASK, {"prefillers": 0}, "direct; reason=no_prefiller"),
        ({**LONG_ASK, "n": 2}, {}, "direct; reason=fan_out"),
        (LONG_ASK, {"prefillers": 0, "decoders": 0, "workers": 1}, "direct; reason=colocated"),
        (LONG_ASK, {"decoders": 0}, "none; reason=no_worker"),
        (b"{", {}, "none; reason=invalid"),
        (LONG_ASK, {"plan": {"p0:8081": [Reply(500, [], b"")]}}, "direct; reason=prefill_failed"),
        (LONG_ASK, {"gates": Gates(idle_decoder=True)}, "direct; reason=decoder_idle"),
        (SHORT_ASK, {"explain": True}, "direct; reason=short; tokens=0; decoder=d0:8081"),
        (
            LONG_ASK,
            {"explain": True},
            "disaggregated; reason=threshold; tokens=5000; prefiller=p0:8081; decoder=d0:8081",
        ),
    ],
)
async def test_an_answer_says_how_its_request_was_decided_and_no_address_unless_asked(body, shape, decision):
    w = world(**shape)
    client = await w.ask(body)
    assert client.decision == decision


async def test_the_answers_word_the_metrics_and_the_logs_are_one():
    w = world(plan={"d0:8081": [ConnectFailedError("d0")], "d1:8081": [ConnectFailedError("d1")]}, decoders=2)
    client = await w.ask(SHORT_ASK)
    assert client.decision == "direct; reason=decoder_unreachable"
    assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.DECODER_UNREACHABLE)
    assert access(w.record)["route"] == "direct"
    assert access(w.record)["reason"] == "decoder_unreachable"


async def test_a_prompt_is_computed_where_the_queue_would_cost_more_elsewhere():
    w = world(gates=Gates(queue_ratio=3))
    with w.pool.flight(w.worker("p0:8081"), 10001):
        await w.ask(LONG_ASK)
        assert (w.record.route, w.record.reason) == (Route.DIRECT, Reason.PREFILL_QUEUE)
    await w.ask(LONG_ASK)
    assert (w.record.route, w.record.reason) == (Route.DISAGGREGATED, Reason.THRESHOLD)
    assert w.worker("p0:8081").tokens == 0


async def test_a_prefiller_counts_a_prompts_tokens_while_it_has_the_leg():
    async def prefilling():
        seen.append(w.worker("p0:8081").tokens)
        return Reply(200, [], b"{}")

    seen: list[int] = []
    w = world(plan={"p0:8081": [prefilling]})
    await w.ask(LONG_ASK)
    assert seen == [5000]
    assert w.quiet()


async def test_an_idle_decoder_prefills_by_itself_and_a_busy_one_does_not():
    w = world(gates=Gates(idle_decoder=True))
    with w.pool.flight(w.worker("d0:8081")):
        await w.ask(LONG_ASK)
    await w.ask(LONG_ASK)
    assert [each.reason for each in w.records] == [Reason.THRESHOLD, Reason.DECODER_IDLE]


async def test_the_session_of_a_request_reaches_the_strategies():
    w = world(workers=3, prefillers=0, decoders=0, strategy="session", session=SessionKeys())
    for _ in range(3):
        await w.ask({**SHORT_ASK, "user": "ada"})
    assert len({entry[1] for entry in w.legs.log}) == 1
    assert w.path.chooser.rank(Role.WORKER, Prompt(0, "", session="ada"), 1)[0].name == w.legs.log[0][1]


async def spoofed(seen, reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-DPD-Decision: forged\r\ncontent-length: 2\r\n\r\n{}")


async def test_every_answer_on_the_wire_has_the_header_once_and_it_is_ours():
    async with engine(spoofed) as decoder, engine() as prefiller, router(prefill=[prefiller], decode=[decoder]) as up:
        for body, expected in (
            (long(), b"disaggregated; reason=threshold"),
            (short(), b"direct; reason=short"),
            (b"{", b"none; reason=invalid"),
        ):
            assert HEADER.findall(await up.post(body)) == [expected]


async def test_what_is_no_prompt_has_no_decision():
    async with engine() as decoder, router(decode=[decoder]) as up:
        assert HEADER.findall(await up.raw(b"GET /health HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n")) == []
