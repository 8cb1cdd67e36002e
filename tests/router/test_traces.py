"""Traces over real sockets: a receiver decodes what the router sends, and scripted engines see what they are told."""

import asyncio
import json
import re
import time

from router.otlp import receiver, tracing
from router.rig import STREAM, answers_when, chunk, engine, long, request, router, short, writes_forever

EVENT = b'data: {"x":1}\n\n'
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REFUSED = b"HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def parent(flags: str = "01") -> bytes:
    return f"traceparent: 00-{TRACE}-{SPAN}-{flags}\r\n".encode()


def leg(seen) -> tuple[str, str, str]:
    """The trace, the span and the flags that an engine was told."""
    found = re.findall(rb"\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\r\n", seen.head)
    assert len(found) == 1, seen.head
    return tuple(part.decode() for part in found[0])


def within(spans, outer) -> None:
    """Every span lies within the request's, one after the other, and is its child."""
    ordered = sorted((each for each in spans.values() if each is not outer), key=lambda each: each.start)
    assert all(each.parent == outer.id for each in ordered)
    times = [outer.start, *(at for each in ordered for at in (each.start, each.end)), outer.end]
    assert times == sorted(times)


async def test_a_long_prompts_trace_has_a_span_for_every_stage_of_its_path():
    async with receiver() as to, engine() as prefiller, engine() as decoder:
        async with router([prefiller], [decoder], tracing=tracing(to)) as up:
            before = time.time_ns()
            answer = await up.post(long())
            after = time.time_ns()
        (trace,) = {each.trace for each in to.spans}
        spans = to.of(trace)
        outer = spans["POST /v1/chat/completions"]
        names = {"accept", "queue", "prefill", "transfer", "decode first token", "stream"}
        assert set(spans) == names | {outer.name}
        within(spans, outer)
        assert before <= outer.start <= outer.end <= after
        assert (outer.parent, outer.kind) == ("", "server")
        assert all(each.error is None for each in spans.values())
        at = {role: f"127.0.0.1:{each.port}" for role, each in (("prefiller", prefiller), ("decoder", decoder))}
        (request_id,) = re.findall(r"x-request-id: (\S+)", answer.decode())
        assert outer.attributes == {
            "http.request.method": "POST",
            "url.path": "/v1/chat/completions",
            "http.response.status_code": 200,
            "http.request.body.size": len(json.dumps(long())),
            "http.response.body.size": 2,
            "dpd.request_id": request_id,
            "dpd.path": "disaggregated",
            "dpd.reason": "threshold",
            "dpd.end": "complete",
            "dpd.prefiller": at["prefiller"],
            "dpd.decoder": at["decoder"],
            "dpd.tokens": 5000,
        }
        assert spans["accept"].attributes == {"dpd.tokens": 5000, "dpd.threshold": 4096, "dpd.reason": "threshold"}
        assert spans["prefill"].attributes == {
            "dpd.worker": at["prefiller"],
            "dpd.attempt": 1,
            "dpd.strategy": "roundrobin",
            "dpd.receiver": at["decoder"],
            "http.response.status_code": 200,
        }
        assert spans["transfer"].attributes == {"dpd.outcome": "unconfirmed"}
        assert spans["decode first token"].attributes == {"dpd.worker": at["decoder"]}
        assert spans["stream"].attributes == {"dpd.worker": at["decoder"]}
        assert {spans[name].kind for name in ("prefill", "decode first token")} == {"client"}
        assert {spans[name].kind for name in ("accept", "queue", "transfer", "stream")} == {"internal"}
        assert to.resource["service.name"] == "dpd-router"
        assert to.resource["dpd.endpoint"] == "e"


async def test_a_short_prompts_trace_has_no_prefill():
    async with receiver() as to, engine() as prefiller, engine() as decoder:
        async with router([prefiller], [decoder], tracing=tracing(to)) as up:
            await up.post(short())
        outer, *others = to.spans
        assert [each.name for each in others] == ["accept", "queue", "decode first token", "stream"]
        assert (outer.attributes["dpd.path"], outer.attributes["dpd.reason"]) == ("direct", "short")


async def test_engines_are_told_the_span_of_the_leg_they_get():
    async with receiver() as to, engine() as prefiller, engine() as decoder:
        async with router([prefiller], [decoder], tracing=tracing(to)) as up:
            await up.post(long())
        spans = to.of(to.spans[0].trace)
        assert leg(prefiller.seen[0]) == (spans["prefill"].trace, spans["prefill"].id, "01")
        decode = spans["decode first token"]
        assert leg(decoder.seen[0]) == (decode.trace, decode.id, "01")


async def test_a_clients_trace_is_continued_and_its_state_passed_on():
    async with receiver() as to, engine() as decoder:
        async with router(decode=[decoder], tracing=tracing(to, ratio=0)) as up:
            await up.post(short(), headers=parent() + b"tracestate: a=1,b=2\r\n")
        assert {(each.trace, each.state) for each in to.spans} == {(TRACE, "a=1,b=2")}
        assert to.spans[0].parent == SPAN
        assert leg(decoder.seen[0])[0] == TRACE
        assert b"\r\ntracestate: a=1,b=2\r\n" in decoder.seen[0].head


async def test_what_the_client_does_not_record_is_not_recorded_here_and_engines_are_told_so():
    async with receiver() as to, engine() as decoder:
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await up.post(short(), headers=parent("00"))
        assert to.messages == []
        trace, _, flags = leg(decoder.seen[0])
        assert (trace, flags) == (TRACE, "00")


async def test_of_what_begins_here_the_ratio_decides():
    async with receiver() as to, engine() as decoder:
        async with router(decode=[decoder], tracing=tracing(to, ratio=0.5)) as up:
            for _ in range(40):
                await up.post(short())
        recorded = {each.trace for each in to.spans}
        told = [leg(each) for each in decoder.seen]
        assert {trace for trace, _, flags in told if flags == "01"} == recorded
        assert 0 < len(recorded) < 40, "both happen, but once in 2 to the 39th"


async def test_without_tracing_what_clients_say_of_theirs_passes_as_it_is():
    async with engine() as decoder, router(decode=[decoder]) as up:
        await up.post(short(), headers=parent() + b"tracestate: a=1\r\n")
        assert leg(decoder.seen[0]) == (TRACE, SPAN, "01")
        await up.post(short())
        assert b"traceparent" not in decoder.seen[1].head
        assert b"dpd_router_traces" not in up.router.app.metrics.text()


async def test_a_failed_prefill_is_an_error_of_its_own_span_and_not_of_the_request():
    async def refuse(seen, reader, writer):
        writer.write(REFUSED)

    async with receiver() as to, engine(refuse) as prefiller, engine() as decoder:
        async with router([prefiller], [decoder], tracing=tracing(to)) as up:
            await up.post(long())
        outer = to.spans[0]
        (prefill,) = [each for each in to.spans if each.name == "prefill"]
        assert (prefill.error, prefill.attributes["http.response.status_code"]) == ("prefill_failed", 500)
        assert outer.error is None
        assert (outer.attributes["dpd.path"], outer.attributes["dpd.reason"]) == ("direct", "prefill_failed")
        assert outer.notes == [("fell back", {"dpd.reason": "prefill_failed"})]
        assert [each.name for each in to.spans].count("transfer") == 0


async def test_a_decoder_that_dies_is_an_error_of_its_leg_and_the_next_one_has_a_span_too():
    async def die(seen, reader, writer):
        raise ConnectionResetError

    async with receiver() as to, engine(die) as dying, engine() as decoder:
        async with router(decode=[dying, decoder], tracing=tracing(to)) as up:
            while not dying.seen:
                assert b"200 OK" in await up.post(short())
        trace, span, _ = leg(dying.seen[0])
        legs = [each for each in to.spans if each.trace == trace and each.name == "decode first token"]
        assert [each.error for each in legs] == ["decoder_died", None]
        assert [each.id for each in legs] == [span, leg(decoder.seen[-1])[1]]
        (outer,) = [each for each in to.spans if each.trace == trace and each.kind == "server"]
        assert (outer.attributes["dpd.reason"], outer.error) == ("decoder_died", None)


async def test_a_stream_that_breaks_is_an_error_of_the_stream_and_of_the_request():
    async def breaking(seen, reader, writer):
        writer.write(STREAM + chunk(EVENT))
        await writer.drain()
        raise ConnectionResetError

    async with receiver() as to, engine(breaking) as decoder:
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await up.post(short(stream=True))
        failed = {each.name: each.error for each in to.spans if each.error}
        assert failed == {"POST /v1/chat/completions": "upstream_died", "stream": "upstream_died"}


async def test_a_request_that_nobody_takes_is_an_error_where_it_waited():
    async with receiver() as to, engine() as decoder:
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await decoder.close()
            await up.until(lambda: not any(each.up for each in up.router.pool.all()))
            await up.post(short())
        failed = {each.name: each.error for each in to.spans if each.error}
        assert failed == {"POST /v1/chat/completions": "no_worker", "queue": "no_worker"}
        assert to.spans[0].attributes["http.response.status_code"] == 503


async def test_a_request_that_is_no_json_fails_at_the_client_and_is_no_error_of_ours():
    async with receiver() as to, engine() as decoder:
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await up.post(b"{")
        outer, accept = to.spans
        assert (outer.error, accept.name, accept.error) == (None, "accept", None)
        assert outer.attributes["dpd.code"] == "invalid_json"
        assert outer.attributes["http.response.status_code"] == 400


async def test_a_client_that_leaves_mid_stream_ends_its_trace_there():
    async with receiver() as to, engine(writes_forever(EVENT)) as decoder:
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
            writer.write(request(short(stream=True)))
            await reader.readuntil(EVENT)
            writer.close()
            await up.until(lambda: decoder.left == 1)
        outer, *others = to.spans
        assert outer.attributes["dpd.end"] == "client_left"
        assert outer.error is None
        assert [each.name for each in others] == ["accept", "queue", "decode first token", "stream"]


async def test_a_client_that_leaves_during_prefill_leaves_a_drain_in_its_trace():
    go_on = asyncio.Event()

    async with receiver() as to, engine(answers_when(go_on)) as prefiller, engine() as decoder:
        async with router([prefiller], [decoder], tracing=tracing(to)) as up:
            _, writer = await asyncio.open_connection("127.0.0.1", up.port)
            writer.write(request(long()))
            await up.until(lambda: prefiller.seen)
            writer.close()
            await writer.wait_closed()
            await up.until(lambda: not up.router.doors.inside)
            go_on.set()
            await up.until(lambda: decoder.seen)
        outer, *others = to.spans
        assert outer.attributes["dpd.end"] == "drained"
        assert [each.name for each in others] == ["accept", "queue", "prefill", "transfer", "drain"]
        assert others[-1].attributes == {"dpd.worker": f"127.0.0.1:{decoder.port}", "dpd.status": "200"}


async def test_a_prefiller_that_is_late_is_an_error_of_its_attempt_and_the_next_one_has_a_span_too():
    go_on = asyncio.Event()

    async with receiver() as to, engine(answers_when(go_on)) as late, engine() as prefiller, engine() as decoder:
        async with router(
            [late, prefiller], [decoder], tracing=tracing(to), timeouts={"prefillSeconds": 0.2, "graceSeconds": 5}
        ) as up:
            while not late.seen:
                assert b"200 OK" in await up.post(long())
            go_on.set()
        trace, span, _ = leg(late.seen[0])
        legs = [each for each in to.spans if each.trace == trace and each.name == "prefill"]
        assert [(each.error, each.attributes["dpd.attempt"]) for each in legs] == [("prefill_late", 1), (None, 2)]
        assert legs[0].id == span
        (outer,) = [each for each in to.spans if each.trace == trace and each.kind == "server"]
        assert (outer.attributes["dpd.path"], outer.error, outer.notes) == ("disaggregated", None, [])
