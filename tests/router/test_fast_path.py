"""Which requests are plain, and what becomes of those that end otherwise than by their answer."""

import asyncio
import re

import pytest

from dpd_router.pool import Role
from dpd_router.wire.leases import Leases
from dpd_router.wire.legs import WireLegs
from router.conversing import counted, ended, said, talk
from router.otlp import receiver, tracing
from router.rig import OK, STREAM, answers_when, chunk, engine, request, router, short, statuses, writes_forever

EVENT = b'data: {"x":1}\n\n'
KEPT = {"health": {"intervalSeconds": 60}, "timeouts": {"upstreamKeepAliveSeconds": 60}}
PREFILLED = short(messages=[{"role": "user", "content": "x" * 400}])


def fast(up):
    assert up.router.app.fast is not None
    return up.router.app.fast


def nobody_is_left(up) -> bool:
    """Say whether nothing is under way, by every count there is."""
    idle = not (fast(up).under_way or up.router.doors.serving or up.router.doors.tasks or up.router.doors.held.now)
    return idle and not any(each.in_flight for each in up.router.pool.all())


async def silent(seen, reader, writer):
    assert await reader.read() == b""
    raise ConnectionResetError


def begins(*parts):
    """An engine that begins an answer and waits until whoever asked has gone."""

    async def script(seen, reader, writer):
        for part in parts:
            writer.write(part)
        await silent(seen, reader, writer)

    return script


async def test_a_plain_request_takes_no_task_and_is_counted_while_it_is_under_way(ways):
    go_on = asyncio.Event()
    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder], **KEPT) as up:
        asked = asyncio.create_task(up.post(short()))
        await up.until(lambda: decoder.seen)
        assert (len(fast(up).under_way), up.router.doors.serving, up.router.doors.tasks) == (1, 1, set())
        assert up.router.pool.all()[0].in_flight == 1
        assert "dpd_router_requests_in_flight 1.0" in counted(up)
        go_on.set()
        assert statuses(await asked) == [200]
        assert nobody_is_left(up)
    assert (ways.taken, ways.handed, ways.left) == (1, 0, 0)


async def test_where_no_connection_is_kept_one_is_opened_and_the_next_request_has_it(ways):
    async with engine() as decoder, router(decode=[decoder], **KEPT) as up:
        up.router.connections.close()
        for _ in range(3):
            assert statuses(await up.post(short())) == [200]
        assert decoder.connections == 2
    assert (ways.taken, ways.left) == (3, 0)


@pytest.mark.parametrize(
    ("pools", "body", "taken"),
    [
        (("prefill", "decode"), short(), 1),
        (("prefill", "decode"), PREFILLED, 0),
        (("decode",), PREFILLED, 0),
        (("worker",), PREFILLED, 1),
        (("worker",), {"prompt": [1] * 500}, 1),
        (("decode",), {"prompt": [1] * 100}, 0),
    ],
)
async def test_a_prompt_that_may_be_disaggregated_is_none_of_the_fast_paths(ways, pools, body, taken):
    async with engine() as one, engine() as other:
        made = dict(zip(pools, ([one], [other]), strict=False))
        async with router(**made, routing={"threshold": 100}, **KEPT) as up:
            await up.raw(request(body, "/v1/completions", b"connection: close\r\n"))
    assert (ways.taken, ways.left) == (taken, 1 - taken)


@pytest.mark.parametrize(
    "routing",
    [
        {"explain": True},
        {"strategy": "session"},
        {"decodeStrategy": "session"},
        {"tokenizer": {"mode": "engine"}},
    ],
)
async def test_a_router_that_looks_at_every_request_has_no_fast_path(routing):
    async with engine() as decoder, router(decode=[decoder], routing=routing) as up:
        assert up.router.app.fast is None
        assert statuses(await up.post(short())) == [200]


async def test_a_router_that_traces_has_no_fast_path():
    async with receiver() as to, engine() as decoder, router(decode=[decoder], tracing=tracing(to)) as up:
        assert up.router.app.fast is None


async def test_two_requests_of_one_id_have_two_names_and_a_name_is_free_again_when_its_request_has_ended(ways):
    go_on = asyncio.Event()
    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder], **KEPT) as up:
        (kept,) = up.router.pool.all()
        for _ in range(2):  # as many connections as requests, for a kept one to each
            first = [asyncio.create_task(up.post(short(), headers=b"x-request-id: mine\r\n")) for _ in range(2)]
            await up.until(lambda: kept.in_flight == 2 and len(decoder.seen) == 2)
            go_on.set()
            assert all(b"x-request-id: mine\r\n" in each for each in await asyncio.gather(*first))
            names = sorted(re.findall(rb"x-request-id: (\S+)", each.head)[0] for each in decoder.seen)
            assert names[0] == b"mine"
            assert re.fullmatch(rb"mine-[0-9a-f]{8}", names[1])
            decoder.seen.clear()
            go_on.clear()
    assert (ways.taken, ways.left) == (4, 0)


LEFT = {
    "before the head": (silent, False, 499),
    "after the head": (begins(STREAM), True, 200),
    "after the head of a whole answer": (begins(OK[:-2]), True, 200),
    "in mid-stream": (begins(STREAM, chunk(EVENT)), True, 200),
    "while the engine writes": (writes_forever(EVENT), True, 200),
}


@pytest.mark.parametrize(("script", "answers", "status"), LEFT.values(), ids=LEFT)
async def test_a_client_that_leaves_ends_the_engines_work_at_once(ways, script, answers, status):
    async with engine(script) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(short(stream=True)))
        await up.until(lambda: client.got if answers else decoder.seen)
        client.close()
        await up.until(lambda: decoder.left == 1 and ended(up) == 1)
        await up.until(lambda: nobody_is_left(up))
        assert f"status={status} route=direct reason=short" in said(up)[-1]
        assert said(up)[-1].endswith("end=client_left")
        assert 'dpd_router_terminations_total{end="client_left"} 1.0' in counted(up)
    assert (ways.taken, ways.handed) == (1, 0)


@pytest.mark.parametrize("part", [b"HTTP/1.1 200", b"HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\n{"])
async def test_a_client_that_leaves_when_its_request_was_handed_over_ends_the_engines_work_too(ways, part):
    async with engine(begins(part)) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(short()))
        await up.until(lambda: ways.handed)
        client.close()
        await up.until(lambda: decoder.left == 1 and ended(up) == 1)
        await up.until(lambda: nobody_is_left(up))
        assert said(up)[-1].endswith("end=client_left")
        assert not any("fallback" in line for line in said(up))


async def test_a_request_that_waits_behind_one_under_way_is_served_when_that_has_ended(ways):
    go_on = asyncio.Event()
    async with engine(answers_when(go_on)) as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        client.write(request(short()))
        await up.until(lambda: decoder.seen)
        client.write(request(short(user="next")) + request(short(user="last")))
        go_on.set()
        await up.until(lambda: len(statuses(client.got)) == 3)
        assert [seen.json.get("user") for seen in decoder.seen] == [None, "next", "last"]
        client.close()
        await up.until(lambda: nobody_is_left(up))
    assert ways.taken == 3


@pytest.mark.patches
async def test_what_goes_wrong_on_the_fast_path_costs_one_request_at_most_and_is_told(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("oh")

    async with engine() as decoder, router(decode=[decoder], **KEPT) as up:
        client = await talk(up)
        with monkeypatch.context() as broken:
            broken.setattr(Leases, "quick", fails)
            broken.setattr(WireLegs, "relay", fails)
            client.write(request(short(), headers=b"x-request-id: mine\r\n"))
            await up.until(lambda: statuses(client.got) == [500])
        client.write(request(short()))
        await up.until(lambda: statuses(client.got) == [500, 200])
        assert any(line.startswith("[ERROR] request mine failed in the router") for line in up.lines)
        assert nobody_is_left(up)
        client.close()


class Trial:
    """Two engines, one of which failed and is to be given a request to see whether it is well again."""

    def __init__(self):
        self.ill = True
        self.answer = b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}"
        self.go_on = asyncio.Event()

    async def script(self, seen, reader, writer):
        if self.ill:
            writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}")
            return
        gone = asyncio.create_task(reader.read(1))
        going = asyncio.create_task(self.go_on.wait())
        await asyncio.wait([gone, going], return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        if gone.done():
            raise ConnectionResetError
        gone.cancel()
        await asyncio.gather(gone, going, return_exceptions=True)
        writer.write(self.answer)

    async def begin(self, up, ill):
        """Have it left alone, and then wait until its time is over and its trial under way; return who asks."""
        pool = up.router.pool
        (worker,) = (each for each in pool.all() if each.address.port == ill.port)
        while not worker.suspicion.ejected:
            await up.post(short())
        self.ill = False
        await up.until(lambda: pool.is_ready(worker))
        client = await talk(up)
        while not worker.suspicion.trial:
            client.got.clear()
            client.write(request(short()))
            await up.until(lambda: worker.suspicion.trial or client.got)
        await up.until(lambda: worker.in_flight == 1)
        assert pool.ready(Role.DECODE) != pool.all(), "one request at a time"
        return client, worker


EJECTED = {"failures": 1, "baseSeconds": 0.05}


@pytest.mark.parametrize(
    ("answer", "well"), [(OK, True), (b"HTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\n{}", True), (b"", False)]
)
async def test_a_worker_on_trial_is_judged_by_its_one_request(ways, answer, well):
    trial = Trial()
    trial.answer = answer or b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}"
    async with (
        engine(trial.script) as ill,
        engine() as other,
        router(decode=[ill, other], ejection=EJECTED, **KEPT) as up,
    ):
        client, worker = await trial.begin(up, ill)
        trial.go_on.set()
        await up.until(lambda: nobody_is_left(up))
        assert (worker.suspicion.ejected, worker.suspicion.trial) == (not well, False)
        assert worker.suspicion.times == (1 if well else 2)
        client.close()
    assert ways.taken


async def test_a_worker_on_trial_whose_client_leaves_is_tried_again(ways):
    trial = Trial()
    async with (
        engine(trial.script) as ill,
        engine() as other,
        router(decode=[ill, other], ejection=EJECTED, **KEPT) as up,
    ):
        client, worker = await trial.begin(up, ill)
        client.close()
        await up.until(lambda: nobody_is_left(up))
        assert (worker.suspicion.ejected, worker.suspicion.trial) == (True, False)
        assert up.router.pool.is_ready(worker)
    assert ways.taken
