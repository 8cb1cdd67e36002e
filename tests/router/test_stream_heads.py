import pytest

from dpd_router.stages.stream import broken_stream_event, request_message, response_head
from dpd_router.types import Call
from dpd_router.wire.framing import Headers


def test_an_upstream_request_keeps_the_clients_end_to_end_headers_and_frames_the_body_anew():
    headers = Headers()
    for name, value in [
        (b"Host", b"evil"),
        (b"Authorization", b"Bearer k"),
        (b"Connection", b"keep-alive, X-Private"),
        (b"X-Private", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"TE", b"trailers"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"999"),
        (b"Expect", b"100-continue"),
        (b"Upgrade", b"h2c"),
        (b"Proxy-Authorization", b"secret"),
        (b"X-Request-Id", b"theirs"),
        (b"X-DPD-Transfer", b"read"),
        (b"Content-Type", b"application/json"),
        (b"traceparent", b"00-1"),
    ]:
        headers.add(name, value)
    call = Call("POST", "/v1/completions?a=b", headers.end_to_end(), b'{"a":1}')
    message = request_message(call, "10.0.0.2:8081", "r1")
    assert message == (
        b"POST /v1/completions?a=b HTTP/1.1\r\nhost: 10.0.0.2:8081\r\nx-request-id: r1\r\n"
        b"Authorization: Bearer k\r\nContent-Type: application/json\r\ntraceparent: 00-1\r\n"
        b'content-length: 7\r\n\r\n{"a":1}'
    )


def test_a_request_without_a_body_has_no_length():
    assert b"content-length" not in request_message(Call("GET", "/health", [], b""), "h:1", "r")


def test_a_response_keeps_its_framing_and_loses_what_belongs_to_the_engines_connection():
    headers = [
        (b"Content-Type", b"text/event-stream"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close, X-Hop, Transfer-Encoding"),
        (b"X-Hop", b"1"),
        (b"X-Request-Id", b"other"),
    ]
    assert response_head(200, headers, "r1", keep_alive=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
        b"x-request-id: r1\r\nconnection: keep-alive\r\n\r\n"
    )


def test_a_response_without_its_chunks_does_not_announce_them():
    head = response_head(200, [(b"Transfer-Encoding", b"chunked")], "r1", keep_alive=False, keep_framing=False)
    assert head == b"HTTP/1.1 200 OK\r\nx-request-id: r1\r\nconnection: close\r\n\r\n"


def test_a_status_without_a_name_is_relayed():
    assert response_head(599, [], "r", keep_alive=True).startswith(b"HTTP/1.1 599 \r\n")


@pytest.mark.parametrize(
    ("chunked", "tail", "begins"),
    [
        (False, b"data: x\n\n", b"data: {"),
        (False, b"data: x", b"\n\ndata: {"),
        (True, b"x\n\n\r\n", b"data: {"),
        (True, b"data: x\r\n", b"\n\ndata: {"),
        (True, b"", b"\n\ndata: {"),
    ],
)
def test_a_broken_stream_ends_with_an_event_of_its_own_and_no_clean_end(chunked, tail, begins):
    event = broken_stream_event(chunked=chunked, tail=tail)
    if chunked:
        size, _, rest = event.partition(b"\r\n")
        assert rest.endswith(b"\r\n")
        event = rest[:-2]
        assert int(size, 16) == len(event)
    assert event.startswith(begins)
    assert b'"code":"upstream_died"' in event
    assert event.endswith(b"\n\n")
    assert b"[DONE]" not in event
