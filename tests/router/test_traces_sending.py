"""Traces on their way to a collector: sent again, dropped, given up, and never at a request's cost."""

import asyncio

import pytest

from router.otlp import TAKEN, outcomes, receiver, tracing
from router.rig import engine, router, short

BUSY = b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n"


async def test_traces_are_sent_while_the_router_runs():
    async with receiver() as to, engine() as decoder, router(decode=[decoder], tracing=tracing(to)) as up:
        await up.post(short())
        await up.until(lambda: to.messages)
        await up.until(lambda: b'dpd_router_traces_total{outcome="sent"} 1.0' in up.router.app.metrics.text())


async def test_a_message_that_is_not_taken_is_sent_again():
    async with receiver() as to, engine() as decoder:
        to.answers = [BUSY, TAKEN]
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await up.post(short())
            await up.until(lambda: to.messages, seconds=10)
        assert len({each.trace for each in to.spans}) == len(to.messages) == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n", None])
async def test_a_collector_that_takes_nothing_costs_no_request_and_is_told_of_once(answer):
    async with receiver() as to, engine() as decoder:
        to.answers = [answer or TAKEN]
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            if answer is None:
                await to.engine.close()
            for _ in range(3):
                assert b"200 OK" in await up.post(short())
        (line,) = [line for line in up.lines if "traces:" in line]
        assert line.startswith(f"[WARNING] traces: {to.url}/v1/traces ")
        assert b'dpd_router_traces_total{outcome="failed"} 3.0' in up.router.app.metrics.text()


async def test_more_traces_than_there_is_room_for_are_dropped_and_counted():
    go_on = asyncio.Event()

    async def slow(seen, reader, writer):
        await go_on.wait()
        await to.take(seen, reader, writer)

    async with receiver() as to, engine() as decoder:
        to.engine.script = slow
        async with router(decode=[decoder], tracing=tracing(to, queue=2)) as up:
            for _ in range(5):
                await up.post(short())
            go_on.set()
        assert outcomes(up) == {"sent": 2, "dropped": 3, "failed": 0}
        assert len({each.trace for each in to.spans}) == 2


async def test_a_collector_that_hangs_holds_nobody_up_when_the_router_ends():
    async def hang(seen, reader, writer):
        await reader.read()

    async with receiver() as to, engine() as decoder:
        to.engine.script = hang
        async with router(decode=[decoder], tracing=tracing(to)) as up:
            await up.post(short())
        assert outcomes(up) == {"sent": 0, "dropped": 0, "failed": 1}
        assert "[WARNING] traces: requests=1 were not sent" in up.lines
