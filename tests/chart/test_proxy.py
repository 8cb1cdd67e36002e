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

from chart.proxy import PATIENCE, Proxy, running
from chart.upstream import Upstream, one_by_one, read_body, read_chunk, reply, send_event, serving, start_stream

COMPLETIONS = "/v1/chat/completions"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path) as started:
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
    upstream.answer = one_by_one(read)
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
    proxy.eventually("model_invocations_total", 4)
    found = proxy.counts()
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
    proxy.eventually("model_invocations_total", 1)
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
        found = proxy.counts()
        assert found["model_concurrent_requests"] == 1
        assert found["model_ttfb_milliseconds_count"] == 1
        assert found["model_latency_milliseconds_count"] == 0
        release.set()
        assert list(events) == []
    proxy.eventually("model_concurrent_requests", 0)


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


def test_counts_carry_every_label_that_hyperpod_documents_where_the_values_give_what_only_they_can(
    tmp_path: Path,
) -> None:
    given = {"cluster_id": "c1", "cluster_name": "c", "model_container_type": "vllm", "task_type": "text-generation"}
    flags = [word for name, value in given.items() for word in ("--set", f"monitoring.labels.{name}={value}")]
    with running(tmp_path, *flags, "--set", "modelVersion=v7") as proxy:
        text = httpx.get(f"{proxy.metrics}/metrics", trust_env=False).text
    (family,) = [each for each in text_string_to_metric_families(text) if each.name == "model_invocations"]
    labels = family.samples[0].labels
    assert labels.items() >= {**given, "model_version": "v7"}.items()
    assert labels.keys() - {"dpd_role"} == given.keys() | {
        "resource_name",
        "resource_type",
        "namespace",
        "model_name",
        "model_version",
        "pod_name",
        "node_name",
        "instance_type",
        "metric_source",
    }


def test_an_engine_that_is_down_is_a_502_of_the_proxys_own(proxy: Proxy, client: httpx.Client) -> None:
    answered = client.post(COMPLETIONS, json={})
    assert answered.status_code == 502
    assert answered.headers["x-dpd-upstream"] == "unreachable"
    assert answered.headers["content-type"] == "application/json"
    assert answered.json()["error"]["code"] == "engine_unreachable"
    proxy.eventually("model_errors_total:5xx", 1)


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200"])
def test_an_engine_that_dies_before_its_head_is_a_502_of_the_proxys_own(
    client: httpx.Client, upstream: Upstream, cut: bytes
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        handler.wfile.write(cut)
        handler.close_connection = True

    upstream.answer = answer
    answered = client.post(COMPLETIONS, json={})
    assert (answered.status_code, answered.headers["x-dpd-upstream"]) == (502, "unreachable")


def test_an_engine_that_is_too_late_is_a_504_of_the_proxys_own(tmp_path: Path) -> None:
    late = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        late.wait(PATIENCE)
        handler.close_connection = True

    with (
        running(tmp_path, also={"proxy_read_timeout 3600s": "proxy_read_timeout 100ms"}) as proxy,
        serving(proxy.upstream_port, answer),
    ):
        answered = httpx.post(f"{proxy.relay}{COMPLETIONS}", json={}, timeout=PATIENCE, trust_env=False)
        late.set()
    assert (answered.status_code, answered.headers["x-dpd-upstream"]) == (504, "unreachable")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_engines_own_error_is_passed_on_and_not_marked(
    client: httpx.Client, upstream: Upstream, status: int
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        read_body(handler)
        handler.send_response(status)
        handler.send_header("X-Dpd-Upstream", "unreachable")
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"sorry")

    upstream.answer = answer
    answered = client.post(COMPLETIONS, json={})
    assert (answered.status_code, answered.content) == (status, b"sorry")
    assert "x-dpd-upstream" not in answered.headers


def test_an_engine_that_comes_back_is_used_at_once(proxy: Proxy, client: httpx.Client) -> None:
    assert client.post(COMPLETIONS, json={}).status_code == 502
    with serving(proxy.upstream_port, take):
        assert client.post(COMPLETIONS, json={}).status_code == 200


def test_connections_to_the_engine_are_used_again(client: httpx.Client, upstream: Upstream) -> None:
    for _ in range(20):
        assert client.post(COMPLETIONS, json={}).status_code == 200
    assert len({seen.client for seen in upstream.seen}) == 1


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
    proxy.eventually("model_concurrent_requests", 0)
    assert proxy.counts()["model_errors_total:4xx"] == 0


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
