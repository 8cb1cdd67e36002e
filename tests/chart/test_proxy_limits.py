"""worker.requestLimits on a real nginx: what is let through, what waits, what is refused."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from chart.proxy import PATIENCE, Proxy, plain, running, until
from chart.upstream import read_body, reply, send_event, serving, start_stream

COMPLETIONS = "/v1/chat/completions"


class Engine:
    """An engine whose invocations end when a test says so, in the order they came; anything else it answers at once."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._ends: dict[str, threading.Event] = {}

    def end(self, name: str) -> None:
        """Let one invocation end, now or when it comes."""
        self._event(name).set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        if handler.command != "POST":
            reply(handler, 200, b"fine")
            return
        name = read_body(handler).decode()
        with self._lock:
            self.names.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
        assert self._event(name).wait(PATIENCE), f"nobody let {name} end"
        with self._lock:
            self._now -= 1
        reply(handler, 200, name.encode())

    def has(self, *names: str) -> None:
        """Wait until exactly these invocations have come, in this order."""
        until(lambda: self.names == list(names), f"the engine has seen {names}")

    def _event(self, name: str) -> threading.Event:
        with self._lock:
            return self._ends.setdefault(name, threading.Event())


class Limited:
    """An engine behind a proxy with limits, and clients of it."""

    def __init__(self, proxy: Proxy, engine: Engine, pool: ThreadPoolExecutor, client: httpx.Client) -> None:
        self.proxy = proxy
        self.engine = engine
        self.client = client
        self._pool = pool

    def post(self, name: str, **headers: str) -> httpx.Response:
        return self.client.post(COMPLETIONS, content=name, headers=headers)

    def later(self, name: str, **headers: str) -> "Future[httpx.Response]":
        return self._pool.submit(partial(self.post, name, **headers))

    def waiting(self, number: int) -> None:
        self.proxy.eventually("dpd_proxy_waiting_requests", number)


@contextlib.contextmanager
def limited(folder: Path, role: str = "decode", **limits: int) -> Iterator[Limited]:
    flags = [f"--set=worker.requestLimits.{name}={value}" for name, value in limits.items() if name != "queueSeconds"]
    if "queueSeconds" in limits:
        flags.append(f"--set=proxy.queueSeconds={limits['queueSeconds']}")
    engine = Engine()
    with (
        running(folder, *flags, role=role) as proxy,
        serving(proxy.upstream_port, engine.answer),
        ThreadPoolExecutor(48) as pool,
        httpx.Client(base_url=proxy.relay, timeout=PATIENCE, trust_env=False) as client,
    ):
        yield Limited(proxy, engine, pool, client)


def test_what_exceeds_the_limit_is_refused_in_the_contracts_words(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=2) as each:
        served = [each.later(name) for name in ("a", "b")]
        until(lambda: sorted(each.engine.names) == ["a", "b"], "both are served")
        refused = each.post("c")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/json"
        assert refused.headers["x-dpd-upstream"] == "limited"
        assert refused.headers["retry-after"] == "1"
        assert refused.json() == {
            "error": "Too many concurrent requests",
            "max_concurrent": 2,
            "max_queue_size": 0,
            "current": 2,
        }
        each.engine.end("a")
        each.engine.end("b")
        assert [answered.result().text for answered in served] == ["a", "b"]
        each.engine.end("d")
        assert each.post("d").text == "d"
        assert each.proxy.counts()["dpd_proxy_refused_requests_total"] == 1


def test_what_waits_is_served_in_its_order(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1, maxQueueSize=3) as each:
        names = ["a", "b", "c", "d"]
        answers = []
        for number, name in enumerate(names):
            answers.append(each.later(name))
            each.engine.has("a")
            each.waiting(number)
        for number, name in enumerate(names, 1):
            each.engine.has(*names[:number])
            each.engine.end(name)
        assert [answered.result().text for answered in answers] == names
        each.waiting(0)


@pytest.mark.parametrize("status", [400, 444, 499, 503, 599])
def test_a_full_queue_refuses_with_the_status_of_the_manifest(tmp_path: Path, status: int) -> None:
    with limited(tmp_path, maxConcurrentRequests=1, maxQueueSize=1, overflowStatusCode=status) as each:
        answers = [each.later("a")]
        each.engine.has("a")
        answers.append(each.later("b"))
        each.waiting(1)
        refused = each.post("c")
        assert (refused.status_code, refused.json()["max_queue_size"], refused.json()["current"]) == (status, 1, 1)
        for name in "ab":
            each.engine.end(name)
        assert [answered.result().status_code for answered in answers] == [200, 200]


def test_who_waits_in_vain_is_refused(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1, maxQueueSize=1, queueSeconds=1) as each:
        first = each.later("a")
        each.engine.has("a")
        assert each.post("b").status_code == 429
        each.waiting(0)
        each.engine.end("a")
        assert first.result().status_code == 200
        assert each.engine.names == ["a"]


def test_a_client_that_leaves_the_queue_makes_room_and_is_never_served(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1, maxQueueSize=1) as each:
        first = each.later("a")
        each.engine.has("a")
        with socket.create_connection(("127.0.0.1", int(each.proxy.relay.rpartition(":")[2])), PATIENCE) as leaving:
            leaving.sendall(f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb".encode())
            each.waiting(1)
        each.waiting(0)
        third = each.later("c")
        each.waiting(1)
        for name in "ac":
            each.engine.end(name)
        assert [first.result().text, third.result().text] == ["a", "c"]
        assert each.engine.names == ["a", "c"]


def test_the_engine_never_gets_more_than_its_limit_and_nobody_is_lost(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=4, maxQueueSize=100) as each:
        names = [f"n{number}" for number in range(40)]
        answers = [each.later(name) for name in names]
        until(lambda: len(each.engine.names) == 4, "four are served")
        for name in names:
            each.engine.end(name)
        assert [answered.result().text for answered in answers] == names
        assert each.engine.most == 4


def test_health_models_and_metrics_are_never_limited(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1) as each:
        first = each.later("a")
        each.engine.has("a")
        for path in ("/health", "/ping", "/v1/models", "/metrics"):
            assert each.client.get(path).text == "fine"
        assert plain(f"{each.proxy.metrics}/healthz") == "ok\n"
        assert each.proxy.counts()["model_concurrent_requests"] == 1
        each.engine.end("a")
        assert first.result().status_code == 200


def test_a_refused_body_is_not_taken_for_the_next_request(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1) as each:
        first = each.later("a")
        each.engine.has("a")
        with httpx.Client(base_url=each.proxy.relay, timeout=PATIENCE, trust_env=False) as client:
            for size in (10, 100_000):
                assert client.post(COMPLETIONS, content=b"POST / HTTP/1.1\r\n\r\n" * size).status_code == 429
                assert client.get("/health").text == "fine"
        each.engine.end("a")
        assert first.result().status_code == 200


def leaves_in_a_stream(handler: BaseHTTPRequestHandler) -> None:
    read_body(handler)
    start_stream(handler)
    send_event(handler, b"first")
    handler.connection.recv(1)
    handler.close_connection = True


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    read_body(handler)
    start_stream(handler)
    send_event(handler, b"first")
    handler.close_connection = True


def says_nothing(handler: BaseHTTPRequestHandler) -> None:
    read_body(handler)
    handler.close_connection = True


@pytest.mark.parametrize("answer", [leaves_in_a_stream, breaks_off, says_nothing])
def test_a_turn_comes_back_however_a_request_ends(
    tmp_path: Path, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    with (
        running(tmp_path, "--set=worker.requestLimits.maxConcurrentRequests=1") as proxy,
        serving(proxy.upstream_port, answer) as upstream,
    ):
        for number in range(1, 4):
            with (
                contextlib.suppress(httpx.RemoteProtocolError),
                httpx.stream("POST", f"{proxy.relay}{COMPLETIONS}", timeout=PATIENCE, trust_env=False) as answered,
            ):
                next(answered.iter_raw())
            proxy.eventually("model_concurrent_requests", 0)
            assert len(upstream.seen) == number


def test_a_decoder_never_refuses_what_waits_in_its_buffer(tmp_path: Path) -> None:
    with limited(tmp_path, maxConcurrentRequests=1, queueSeconds=1) as each:
        first = each.later("a")
        each.engine.has("a")
        second = each.later("b", **{"x-dpd-transfer": "read"})
        each.waiting(1)
        assert each.post("c").status_code == 429
        each.engine.end("a")
        each.engine.end("b")
        assert [first.result().text, second.result().text] == ["a", "b"]


def test_elsewhere_nobody_gets_past_the_limit(tmp_path: Path) -> None:
    with limited(tmp_path, role="prefill", maxConcurrentRequests=1) as each:
        first = each.later("a")
        each.engine.has("a")
        assert each.post("b", **{"x-dpd-transfer": "read"}).status_code == 429
        each.engine.end("a")
        assert first.result().status_code == 200


def test_no_limit_is_no_lua_of_limits(tmp_path: Path) -> None:
    with running(tmp_path) as proxy:
        assert not (proxy.folder / "limits.lua").exists()
        assert "limits" not in (proxy.folder / "decode.conf").read_text()
