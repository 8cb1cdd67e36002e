import dataclasses
import json
from typing import Any

import pytest

from dpd_router.ask import Ask
from dpd_router.types import Reply
from dpd_router.wire.exchange import Exchange
from dpd_router.wire.incoming import Incoming
from router.rig import OK, engine, get, router, short, statuses


async def dies(seen, reader, writer):
    writer.close()


def body_of(answer: bytes):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/chat/completions", 405, "/v1/chat/completions takes POST, not GET."),
        ("DELETE", "/health", 405, "/health takes GET, not DELETE."),
        ("GET", "/", 404, "Nothing is served at /."),
        ("GET", "/v1/models/", 404, "Nothing is served at /v1/models/."),
        ("GET", "/sleep", 404, "Nothing is served at /sleep."),
        ("OPTIONS", "/v1/load_lora_adapter", 404, "Nothing is served at /v1/load_lora_adapter."),
    ],
)
async def test_what_is_not_served_is_said_in_openais_words(method, path, status, message):
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(get(path, method=method))
        assert statuses(answer) == [status]
        assert body_of(answer)["error"]["message"] == message
        assert decoder.seen == []


async def test_head_has_the_head_and_no_body():
    async with engine() as decoder, router(decode=[decoder]) as up:
        answer = await up.raw(get("/ping", method="HEAD"))
        assert statuses(answer) == [200]
        assert answer.endswith(b"\r\n\r\n")


async def test_the_configured_path_is_served_too():
    async with engine() as decoder, router(decode=[decoder], endpoint={"invocationPath": "generate"}) as up:
        assert statuses(await up.post(short(), "/generate?a=b")) == [200]
        assert statuses(await up.post(short(), "/invocations")) == [200]
        assert [seen.path for seen in decoder.seen] == ["/generate?a=b", "/generate"]


async def test_models_are_asked_of_an_engine_that_answers():
    async with engine(dies) as broken, engine() as well, router(decode=[broken, well]) as up:
        for _ in range(2):
            answer = await up.raw(get("/v1/models"))
            assert answer.endswith(OK[-2:])
        line = f"method=GET path=/v1/models status=200 route=direct reason=relayed decoder=127.0.0.1:{well.port}"
        assert sum(line in each for each in up.lines) == 2


async def test_models_without_an_engine_are_a_503():
    async with engine(dies) as broken, router(decode=[broken]) as up:
        assert statuses(await up.raw(get("/v1/models"))) == [503]
        await broken.close()
        up.router.connections.close()
        assert statuses(await up.raw(get("/v1/models"))) == [503]


async def test_health_counts_who_is_well():
    async with engine() as prefiller, engine() as decoder, router([prefiller], [decoder]) as up:
        answer = body_of(await up.raw(get("/health")))
        assert answer == {"status": "ok", "why": None, "healthy": {"prefill": 1, "decode": 1, "worker": 0}}
        await prefiller.close()
        await up.until(lambda: sum(each.up for each in up.router.pool.all()) == 1)
        assert body_of(await up.raw(get("/health")))["status"] == "ok", "decoders prefill themselves"


async def test_an_engine_that_says_it_is_unwell_gets_nothing():
    async with engine() as one, engine() as other, router(decode=[one, other]) as up:
        one.health = b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
        await up.until(lambda: sum(each.up for each in up.router.pool.all()) == 1)
        for _ in range(4):
            await up.post(short())
        assert (len(one.seen), len(other.seen)) == (0, 4)


async def test_an_engine_that_does_not_answer_its_health_check_is_unwell():
    async with engine() as decoder, router(decode=[decoder], health={"timeoutSeconds": 0.1}) as up:
        decoder.health = b""
        await up.until(lambda: not up.router.pool.all()[0].up)


class Outlet:
    choked = False
    lingering = True

    def __init__(self):
        self.sent = b""

    def write(self, data):
        self.sent += data


class Broken:
    async def serve(self, ask, client):
        raise ZeroDivisionError("a mistake of ours")


async def test_a_mistake_of_the_routers_own_costs_one_request_and_is_logged():
    async with engine() as decoder, router(decode=[decoder]) as up:
        lines: list[str] = []
        broken: Any = Broken()
        app = dataclasses.replace(up.router.app, path=broken, tell_error=lines.append)
        outlet = Outlet()
        ask = Ask("POST", "/v1/completions", "", [], b"{}", "r1")
        await app.serve(Exchange(Incoming(ask, http_1_0=False, keep_alive=True), outlet))
        assert statuses(outlet.sent) == [500]
        assert body_of(outlet.sent)["error"]["code"] == "internal_error"
        assert lines == ["request r1 failed in the router: ZeroDivisionError('a mistake of ours')"]


def exchange():
    outlet = Outlet()
    ask = Ask("POST", "/", "", [], b"", "r1")
    return Exchange(Incoming(ask, http_1_0=False, keep_alive=True), outlet), outlet


def test_nothing_is_written_for_a_client_that_has_left():
    made, outlet = exchange()
    made.leave()
    made.answer(Reply(200, [], b"{}"))
    made.write(b"x")
    assert outlet.sent == b""
    assert made.status == 499


def test_a_request_is_answered_once():
    made, outlet = exchange()
    made.answer(Reply(200, [(b"Content-Length", b"9")], b"{}"))
    made.answer(Reply(500, [], b"{}"))
    assert statuses(outlet.sent) == [200]
    assert outlet.sent.lower().count(b"content-length") == 1
