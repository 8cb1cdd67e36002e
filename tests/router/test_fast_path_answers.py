"""Whatever an engine answers, and wherever it breaks off, the fast path tells what the path would have told."""

import pytest

from router.rig import OK, STREAM, Script, chunk, request, short
from router.test_fast_path_alike import ANSWERED, EVENT, HANDED, JSON, LAST, TAKEN, both, bytewise, script

ASKED = [request(short()), request(short(stream=True)), request(short(), headers=b"connection: close\r\n")]
ERROR = b'{"error":{"message":"from the engine"}}'
CHUNKED = JSON + b"transfer-encoding: chunked\r\n"


def whole(status: int, body: bytes, headers: bytes = b"", version: bytes = b"1.1") -> bytes:
    head = b"HTTP/%b %d X\r\n%bcontent-length: %d\r\n\r\n%b"
    return head % (version, status, headers, len(body), body)


def ok(headers: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body


# An engine's answer, and the way its requests go; None where it depends on who is asked next.
Row = tuple[Script, set[str] | None]
WHOLE: dict[str, Row] = {
    "a length": (script(OK), {TAKEN}),
    "chunks": (script(ANSWERED), {TAKEN}),
    "chunks one by one": (script(STREAM, chunk(EVENT), chunk(EVENT), LAST), {TAKEN}),
    "a size in two pieces, of which the second would be a chunk": (
        script(STREAM, chunk(EVENT), b"1", b"f\r\n" + b"a" * 15 + b"\r\n", b"b" * 14 + b"\r\n", chunk(EVENT), LAST),
        {TAKEN},
    ),
    "a chunk within a chunk": (script(STREAM, chunk(EVENT), b"7\r\n", b"2\r\nab\r\n", b"\r\n", LAST), {TAKEN}),
    "sizes in capitals and with noughts": (script(STREAM, b"A\r\n0123456789\r\n", b"002\r\n{}\r\n", LAST), {TAKEN}),
    "several chunks in one piece": (script(STREAM + chunk(EVENT), chunk(EVENT) * 5, chunk(EVENT) + LAST), {TAKEN}),
    "chunks of JSON": (script(CHUNKED + b"\r\n" + chunk(b"{}") + LAST), {TAKEN}),
    "no chunk but the last": (script(STREAM + LAST), {TAKEN}),
    "the last chunk by itself": (script(STREAM, LAST), {TAKEN}),
    "chunks with extensions": (script(STREAM + b"2;a=b\r\n{}\r\n0;c\r\n\r\n"), {TAKEN}),
    "a trailer that was not announced": (script(STREAM + chunk(EVENT) + b"0\r\nx-a: 1\r\n\r\n"), {TAKEN}),
    "a trailer that was": (script(ok(b"trailer: x-a\r\ntransfer-encoding: chunked\r\n", b"0\r\nx-a: 1\r\n\r\n")), None),
    "chunks in capitals": (script(ok(b"TRANSFER-ENCODING:   CHUNKED  \r\n", chunk(b"{}") + LAST)), None),
    "chunks with a tab": (script(ok(b"transfer-encoding: chunked\t\r\n", chunk(b"{}") + LAST), close=True), None),
    "a head and then a body": (script(OK[:-2], b"{", b"}"), {TAKEN}),
    "a head in two": (script(OK[:30], OK[30:]), {HANDED}),
    "byte by byte": (bytewise(OK), None),
    "a stream byte by byte": (bytewise(ANSWERED), None),
    "a stream of a length": (script(ok(b"content-type: text/event-stream\r\ncontent-length: 3\r\n", b"abc")), {TAKEN}),
    "nothing": (script(whole(200, b"")), {HANDED}),
    "a length of noughts": (script(ok(b"content-length: 002\r\n", b"{}")), None),
    "a length with space around": (script(ok(b"content-length: \t 2 \t\r\n", b"{}")), None),
    "another phrase": (script(b"HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\n{}"), {HANDED}),
    "no phrase": (script(b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n{}"), {HANDED}),
    "201": (script(whole(201, b"{}")), {HANDED}),
    "204": (script(b"HTTP/1.1 204 No Content\r\n\r\n"), {HANDED}),
    "304": (script(b"HTTP/1.1 304 Not Modified\r\netag: a\r\n\r\n"), {HANDED}),
    "103 first": (script(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK), {HANDED}),
    "100 first, by itself": (script(b"HTTP/1.1 100 Continue\r\n\r\n", OK), {HANDED}),
    "HTTP/1.0": (script(whole(200, b"{}", version=b"1.0"), close=True), None),
    "HTTP/1.0 that is kept": (script(whole(200, b"{}", b"connection: keep-alive\r\n", b"1.0")), {HANDED}),
    "an end with the connection": (script(ok(b"content-type: text/plain\r\n", b"abc"), b"def", close=True), None),
    "a connection that is kept": (script(ok(b"connection: keep-alive\r\ncontent-length: 2\r\n", b"{}")), {TAKEN}),
    "a connection that is not": (script(ok(b"connection: close\r\ncontent-length: 2\r\n", b"{}"), close=True), None),
    "a proxy's connection that is not": (
        script(ok(b"proxy-connection: close\r\ncontent-length: 2\r\n", b"{}"), close=True),
        None,
    ),
    "an upgrade": (script(ok(b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n", b"{}")), None),
    "headers that end here": (
        script(
            ok(
                b"keep-alive: timeout=5\r\nX-Request-Id: b\r\nte: a\r\nx-dpd-decision: c\r\ncontent-length: 2\r\n",
                b"{}",
            )
        ),
        {TAKEN},
    ),
    "headers that the connection names": (
        script(ok(b"connection: keep-alive, x-a\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 2\r\n", b"{}")),
        {HANDED},
    ),
    "headers as they are spelled": (
        script(
            ok(
                b"X-A:1\r\nx-B:  2\t \r\nx-c:\r\nx-c: \xe4 b\r\nCookie: a\r\ncookie: b\r\nContent-Length: 2\r\n",
                b"{}",
            )
        ),
        {TAKEN},
    ),
    "a mark of the proxy's on a good answer": (
        script(ok(b"x-dpd-upstream: limited\r\ncontent-length: 2\r\n", b"{}")),
        None,
    ),
    "many headers": (script(ok(b"x-a: 1\r\n" * 2000 + b"content-length: 2\r\n", b"{}")), None),
    "many bytes": (script(whole(200, b"x" * 700_000).replace(b"200 X", b"200 OK")), None),
    "a stream of many bytes": (script(STREAM + chunk(b"x" * 300_000) * 3 + LAST), None),
}
ERRORS: dict[str, Row] = {
    f"{status}": (script(whole(status, ERROR, b"retry-after: 7\r\n")), {HANDED}) for status in (400, 404, 422, 500)
} | {
    "429 without a time": (script(whole(429, b"")), {HANDED}),
    "503 in two pieces": (script(whole(503, ERROR)[:-9], ERROR[-9:]), {HANDED}),
    "500 in chunks": (
        script(b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"oops") + LAST),
        {HANDED},
    ),
    "500 in another shape": (script(whole(500, b"<html>", b"content-type: text/html\r\n")), {HANDED}),
    "a proxy without its engine": (script(whole(502, b"{}", b"x-dpd-upstream: unreachable\r\n")), {HANDED}),
    "a proxy that waited in vain": (script(whole(504, b"{}", b"x-dpd-upstream: unreachable\r\n")), {HANDED}),
    "a proxy without room": (script(whole(503, b"{}", b"x-dpd-upstream: limited\r\n")), {HANDED}),
}


@pytest.mark.parametrize(("answer", "expected"), (WHOLE | ERRORS).values(), ids=WHOLE | ERRORS)
async def test_an_answer_is_told_alike(ways, answer, expected):
    heard, wanted, gone = await both(ways, ASKED, answer, ejection={"failures": 0})
    assert heard == wanted
    assert expected is None or gone == expected


# What an engine breaks off with, and where; nothing of it may look whole.
BROKEN = {
    "nothing at all": script(close=True),
    "part of a head": script(b"HTTP/1.1 200", close=True),
    "a head": script(STREAM, close=True),
    "a head with a length": script(JSON + b"content-length: 9\r\n\r\n", close=True),
    "part of a body": script(JSON + b"content-length: 9\r\n\r\n{", close=True),
    "part of a body, later": script(JSON + b"content-length: 9\r\n\r\n", b"{", b"}", close=True),
    "an event": script(STREAM + chunk(EVENT), close=True),
    "an event, later": script(STREAM, chunk(EVENT), close=True),
    "several events, later": script(STREAM, chunk(EVENT), chunk(EVENT), chunk(EVENT), close=True),
    "a size that is too small, later": script(STREAM, chunk(EVENT), b"1\r\nab\r\n", close=True),
    "a size that is too great, later": script(STREAM, chunk(EVENT), b"3\r\nab\r\n", close=True),
    "a size that is none, later": script(STREAM, chunk(EVENT), b"-3\r\nab\r\n", close=True),
    "an event cut in half": script(STREAM + chunk(b'data: {"cut'), close=True),
    "a chunk cut in half": script(STREAM + b"ff\r\ndata: hal", close=True),
    "a chunk's size cut in half": script(STREAM, b"f", close=True),
    "a chunk without its end": script(STREAM + chunk(EVENT)[:-2], close=True),
    "the last chunk without its end": script(STREAM + chunk(EVENT) + LAST[:-2], close=True),
    "chunks of JSON": script(CHUNKED + b"\r\n" + chunk(b"{"), close=True),
    "a stream of a length": script(ok(b"content-type: text/event-stream\r\ncontent-length: 9\r\n", b"abc"), close=True),
    "a stream of a great length": script(
        ok(b"content-type: text/event-stream\r\ncontent-length: 9000\r\n", EVENT), close=True
    ),
    "part of an error": script(whole(500, ERROR)[:-5], close=True),
    "a reset": script(reset=True),
    "a reset in a stream": script(STREAM + chunk(EVENT), reset=True),
    "garbage": script(b"nonsense\r\n\r\n", close=True),
    "garbage that goes on": script(b"nonsense\r\n\r\n", b"more"),
    "both framings": script(ok(b"content-length: 1\r\ntransfer-encoding: chunked\r\n", chunk(b"a") + LAST), close=True),
    "both framings, the length nought": script(
        ok(b"content-length: 0\r\ntransfer-encoding: chunked\r\n", chunk(b"a") + LAST), close=True
    ),
    "two lengths": script(ok(b"content-length: 2\r\ncontent-length: 3\r\n", b"{} "), close=True),
    "two lengths, the first nought": script(ok(b"content-length: 0\r\ncontent-length: 2\r\n", b"{}"), close=True),
    "two lengths, the second nought": script(ok(b"content-length: 2\r\ncontent-length: 0\r\n", b"{}"), close=True),
    "a length with a sign": script(ok(b"content-length: +2\r\n", b"{}"), close=True),
    "a length beyond all": script(ok(b"content-length: 99999999999999999999\r\n", b"{}"), close=True),
    "another coding": script(ok(b"transfer-encoding: gzip, chunked\r\n", chunk(b"a") + LAST), close=True),
    "a coding twice": script(ok(b"transfer-encoding: chunked\r\n" * 2, chunk(b"a") + LAST), close=True),
    "a folded header": script(ok(b"x-a: 1\r\n 2\r\ncontent-length: 2\r\n", b"{}"), close=True),
    "a header without a colon": script(ok(b"x-a\r\ncontent-length: 2\r\n", b"{}"), close=True),
    "space before a colon": script(ok(b"content-length : 2\r\n", b"{}"), close=True),
    "a line feed alone": script(ok(b"x-a: 1\ncontent-length: 2\r\n", b"{}"), close=True),
    "NUL in a header": script(ok(b"x-a: \0\r\ncontent-length: 2\r\n", b"{}"), close=True),
    "no hexadecimal size": script(STREAM + b"zz\r\n", close=True),
    "no hexadecimal size, later": script(STREAM + chunk(EVENT), b"zz\r\n"),
    "a chunk longer than it says": script(STREAM + b"2\r\nabcd\r\n", close=True),
    "a chunk longer than it says, later": script(STREAM, chunk(EVENT), b"2\r\nabcd\r\n"),
    "too much at once": script(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", close=True),
    "too much in the body's piece": script(OK[:-2], b"{}poison", close=True),
    "too many bytes": script(OK + b"poison", close=True),
    "a second stream at once": script(ANSWERED + ANSWERED, close=True),
    "a second stream behind the last chunk": script(STREAM + chunk(EVENT), LAST + ANSWERED, close=True),
    "garbage behind the last chunk": script(STREAM + chunk(EVENT), LAST + b"poison", close=True),
    "lines behind the last chunk": script(STREAM + chunk(EVENT), LAST + b"\r\n\r\n", close=True),
    "a head that does not end": script(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, close=True),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("asked", ASKED[1:], ids=["streamed", "once"])
async def test_an_engine_that_breaks_off_or_says_what_it_must_not_is_told_of_alike(ways, answer, asked):
    heard, wanted, _ = await both(ways, [asked], answer, ejection={"failures": 0})
    assert heard == wanted
    assert ways.taken
