"""A real nginx with the configuration that the chart renders, in front of a small upstream."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import nginx
from chart.proxy import PATIENCE, Proxy, running
from chart.upstream import Upstream, read_body, read_chunk, reply, send_event, serving, start_stream

COMPLETIONS = "/v1/chat/completions"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    try:
        found = nginx.find()
    except nginx.UnavailableError as problem:
        if os.environ.get("CI"):
            pytest.fail(f"no nginx with Lua: {problem}")
        pytest.skip(f"no nginx with Lua: {problem}")
    with running(found, tmp_path) as started:
        yield started


def take(handler: BaseHTTPRequestHandler, status: int = 200) -> None:
    if handler.command == "POST":
        read_body(handler)
    reply(handler, status)


@pytest.fixture
def upstream(proxy: Proxy) -> Iterator[Upstream]:
    with serving(proxy.upstream_port, take) as started:
        yield started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.relay, timeout=PATIENCE, trust_env=False) as started:
        yield started


def counts(proxy: Proxy) -> dict[str, float]:
    """Return every sample by its name; the class of a status or the bound of a bucket is added to it."""
    text = httpx.get(f"{proxy.metrics}/metrics", trust_env=False).text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            extra = sample.labels.get("status_class") or sample.labels.get("le")
            found[f"{sample.name}:{extra}" if extra else sample.name] = sample.value
    return found


def eventually(proxy: Proxy, name: str, value: float) -> None:
    """Wait until a count is what it should be: nginx counts when it logs, a moment after the answer."""
    deadline = time.monotonic() + PATIENCE
    while counts(proxy)[name] != value and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counts(proxy)[name] == value


def test_a_request_arrives_as_it_was_sent(client: httpx.Client, upstream: Upstream) -> None:
    bodies = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        bodies.append(read_body(handler))
        reply(handler, 201, b"made")

    upstream.answer = answer
    body = os.urandom(3_000_000)
    answered = client.post(f"{COMPLETIONS}?a=%2F&b", content=body, headers={"X-Request-Id": "r-1"})
    assert (answered.status_code, answered.content) == (201, b"made")
    assert bodies == [body]
    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.headers["x-request-id"]) == ("POST", f"{COMPLETIONS}?a=%2F&b", "r-1")
    assert "connection" not in seen.headers


def test_an_answer_streams_event_by_event(client: httpx.Client, upstream: Upstream) -> None:
    read = threading.Semaphore(0)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        start_stream(handler)
        for number in range(3):
            send_event(handler, b"%d" % number)
            assert read.acquire(timeout=PATIENCE), "the client never saw the event before the next one was sent"
        send_event(handler, b"")

    upstream.answer = answer
    events = []
    with client.stream("POST", COMPLETIONS, json={}) as answered:
        for chunk in answered.iter_raw():
            events.append(chunk)
            read.release()
    assert events == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_a_body_streams_on_before_it_is_complete(client: httpx.Client, upstream: Upstream, tmp_path: Path) -> None:
    arrived = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        first = read_chunk(handler)
        arrived.set()
        reply(handler, 200, first + read_body(handler))

    def body() -> Iterator[bytes]:
        yield b"first"
        assert arrived.wait(PATIENCE), "the proxy kept the body to itself"
        yield b" and second"

    upstream.answer = answer
    assert client.post(COMPLETIONS, content=body()).content == b"first and second"
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_file() and path.name != "nginx.pid"] == []


def test_invocations_and_errors_are_counted(proxy: Proxy, client: httpx.Client, upstream: Upstream) -> None:
    for status in (200, 200, 400, 503):
        upstream.answer = partial(take, status=status)
        assert client.post(COMPLETIONS, json={}).status_code == status
    eventually(proxy, "model_invocations_total", 4)
    found = counts(proxy)
    assert (found["model_errors_total:4xx"], found["model_errors_total:5xx"]) == (1, 1)
    assert found["model_concurrent_requests"] == 0
    for name in ("model_latency_milliseconds", "model_ttfb_milliseconds"):
        assert found[f"{name}_count"] == found[f"{name}_bucket:+Inf"] == 4
        assert found[f"{name}_sum"] >= 0
        buckets = [value for key, value in found.items() if key.startswith(f"{name}_bucket:")]
        assert buckets == sorted(buckets)


def test_probes_and_scrapes_are_not_invocations(proxy: Proxy, client: httpx.Client, upstream: Upstream) -> None:
    for path in ("/health", "/metrics", "/v1/models"):
        assert client.get(path).status_code == 200
    assert client.post("/tokenize", json={}).status_code == 200
    assert client.post("/invocations", json={}).status_code == 200
    eventually(proxy, "model_invocations_total", 1)
    assert len(upstream.seen) == 5


def test_an_open_stream_is_a_concurrent_request(proxy: Proxy, client: httpx.Client, upstream: Upstream) -> None:
    release = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        start_stream(handler)
        send_event(handler, b"first")
        release.wait(PATIENCE)
        send_event(handler, b"")

    upstream.answer = answer
    with client.stream("POST", COMPLETIONS, json={}) as answered:
        events = answered.iter_raw()
        next(events)
        found = counts(proxy)
        assert found["model_concurrent_requests"] == 1
        assert found["model_ttfb_milliseconds_count"] == 1
        assert found["model_latency_milliseconds_count"] == 0
        release.set()
        assert list(events) == []
    eventually(proxy, "model_concurrent_requests", 0)


def test_counts_carry_the_endpoints_labels(proxy: Proxy) -> None:
    text = httpx.get(f"{proxy.metrics}/metrics", trust_env=False).text
    (family,) = [each for each in text_string_to_metric_families(text) if each.name == "model_invocations"]
    assert family.samples[0].labels == {
        "dpd_role": "decode",
        "instance_type": "ml.p5.48xlarge",
        "metric_source": "reverse-proxy",
        "model_name": "Llama-3.3-70B-Instruct",
        "namespace": "default",
        "node_name": "a-node_name",
        "pod_name": "a-pod_name",
        "resource_name": "dpd-test",
        "resource_type": "inference-endpoint",
    }


def test_an_engine_that_is_down_is_a_502(proxy: Proxy, client: httpx.Client) -> None:
    assert client.post(COMPLETIONS, json={}).status_code == 502
    eventually(proxy, "model_errors_total:5xx", 1)


def test_an_engine_that_comes_back_is_used_at_once(proxy: Proxy, client: httpx.Client) -> None:
    assert client.post(COMPLETIONS, json={}).status_code == 502
    with serving(proxy.upstream_port, take):
        assert client.post(COMPLETIONS, json={}).status_code == 200


def test_connections_to_the_engine_are_used_again(client: httpx.Client, upstream: Upstream) -> None:
    for _ in range(20):
        assert client.post(COMPLETIONS, json={}).status_code == 200
    assert len({seen.client for seen in upstream.seen}) <= 2, "one per nginx process"


def test_a_client_that_leaves_ends_the_engines_work(proxy: Proxy, client: httpx.Client, upstream: Upstream) -> None:
    gone = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        start_stream(handler)
        send_event(handler, b"first")
        if handler.connection.recv(1) == b"":
            gone.set()
        handler.close_connection = True

    upstream.answer = answer
    with client.stream("POST", COMPLETIONS, json={}) as answered:
        next(answered.iter_raw())
    assert gone.wait(PATIENCE)
    eventually(proxy, "model_concurrent_requests", 0)
    assert counts(proxy)["model_errors_total:4xx"] == 0


def test_a_graceful_stop_lets_a_stream_end(proxy: Proxy, client: httpx.Client, upstream: Upstream) -> None:
    stopping = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        start_stream(handler)
        send_event(handler, b"before")
        stopping.wait(PATIENCE)
        send_event(handler, b"after")
        send_event(handler, b"")

    upstream.answer = answer
    with client.stream("POST", COMPLETIONS, json={}) as answered:
        events = answered.iter_raw()
        assert next(events) == b"data: before\n\n"
        proxy.process.send_signal(signal.SIGQUIT)
        wait_until_closed(proxy.relay)
        stopping.set()
        assert list(events) == [b"data: after\n\n"]
    assert proxy.process.wait(PATIENCE) == 0


def wait_until_closed(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))):
                return
        time.sleep(0.02)
    raise AssertionError("nginx still accepts connections")
