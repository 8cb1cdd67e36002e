"""A real nginx of the chart at the edges: bodies of tens of megabytes, clients that dawdle, clients that leave."""

import contextlib
import hashlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from chart.proxy import PATIENCE, running, until
from chart.upstream import read_body, reply, send_event, serving, start_stream

COMPLETIONS = "/v1/chat/completions"
LIMITS = ("--set=worker.requestLimits.maxConcurrentRequests=2", "--set=worker.requestLimits.maxQueueSize=2")
MEBIBYTE = 1024**2


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "nginx.pid"]


def most_memory(process: int) -> int:
    """Return the most memory that a process has held, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_bodies_of_tens_of_megabytes_pass_both_ways_and_touch_neither_disk_nor_memory(tmp_path: Path) -> None:
    sent, returned = hashlib.sha256(), hashlib.sha256()
    piece = os.urandom(MEBIBYTE)
    on_disk: list[Path] = []

    def echo(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", handler.headers["Content-Length"])
        left = int(handler.headers["Content-Length"])
        body = handler.rfile.read(left)
        on_disk.extend(files_below(tmp_path / "tmp"))
        handler.end_headers()
        handler.wfile.write(body)

    def body() -> Iterator[bytes]:
        for number in range(48):
            each = piece[number:] + piece[:number]
            sent.update(each)
            yield each

    with running(tmp_path, *LIMITS) as proxy, serving(proxy.upstream_port, echo):
        before = most_memory(proxy.child())
        length = {"Content-Length": str(48 * MEBIBYTE)}
        url = f"{proxy.relay}{COMPLETIONS}"
        with httpx.stream("POST", url, content=body(), headers=length, timeout=PATIENCE, trust_env=False) as answered:
            for chunk in answered.iter_raw():
                returned.update(chunk)
        assert answered.status_code == 200
        assert most_memory(proxy.child()) - before < 16 * MEBIBYTE
    assert sent.digest() == returned.digest()
    assert on_disk == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"client_header_timeout 10s": "client_header_timeout 100ms"}, b"POST /v1 HTTP/1.1\r\nHost: a\r\n"),
        (
            {"client_body_timeout 60s": "client_body_timeout 100ms"},
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        ),
    ],
    ids=["head", "body"],
)
def test_a_client_that_dawdles_is_cut_off_and_holds_no_turn(
    tmp_path: Path, setting: dict[str, str], said: bytes
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 200, read_body(handler))

    with (
        running(tmp_path, "--set=worker.requestLimits.maxConcurrentRequests=1", also=setting) as proxy,
        serving(proxy.upstream_port, answer),
    ):
        port = int(proxy.relay.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as slow:
            slow.sendall(said)
            with_reset = b""
            try:
                while part := slow.recv(1000):
                    with_reset += part
            except ConnectionResetError:
                pass
        assert b" 200 " not in with_reset
        until(lambda: proxy.counts()["model_concurrent_requests"] == 0, "nothing is in service")
        answered = httpx.post(f"{proxy.relay}{COMPLETIONS}", content=b"{}", timeout=PATIENCE, trust_env=False)
        assert answered.content == b"{}"


class Leaving:
    """An engine that looks whether the proxy has broken off, once its client has left."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.left = threading.Event()
        self.broken_off: bool | None = None
        self.ended = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            reply(handler)
            return
        read_body(handler)
        self.begun.set()
        assert self.left.wait(PATIENCE)
        readable, _, _ = select.select([handler.connection], [], [], 0)
        self.broken_off = bool(readable)
        self.ended.set()
        with contextlib.suppress(BrokenPipeError):
            reply(handler)
        handler.close_connection = self.broken_off


@pytest.mark.parametrize("flags", [(), LIMITS], ids=["unlimited", "limited"])
@pytest.mark.parametrize(("role", "is_broken_off"), [("prefill", False), ("decode", True)])
@pytest.mark.parametrize("size", [10, 3 * MEBIBYTE])
def test_only_a_prefill_goes_on_when_its_client_has_left(
    tmp_path: Path, flags: tuple[str, ...], role: str, is_broken_off: bool, size: int
) -> None:
    engine = Leaving()
    with running(tmp_path, *flags, role=role) as proxy, serving(proxy.upstream_port, engine.answer):
        port = int(proxy.relay.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            client.sendall(head.encode() + b"a" * size)
            assert engine.begun.wait(PATIENCE)
        # One process serves: once it has answered this, it has long seen that the other client has left.
        for _ in range(3):
            assert httpx.get(f"{proxy.relay}/health", timeout=PATIENCE, trust_env=False).status_code == 200
        engine.left.set()
        assert engine.ended.wait(PATIENCE)
        assert engine.broken_off is is_broken_off
        proxy.eventually("model_concurrent_requests", 0)


def test_a_slow_reader_slows_the_engine_and_fills_no_memory(tmp_path: Path) -> None:
    written = 0
    released = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        nonlocal written
        read_body(handler)
        start_stream(handler)
        handler.connection.settimeout(0.2)
        try:
            while written < 256 * MEBIBYTE:
                send_event(handler, b"a" * 65536)
                written += 65536
        except TimeoutError:
            released.set()
        handler.close_connection = True

    with running(tmp_path) as proxy, serving(proxy.upstream_port, answer):
        url = f"{proxy.relay}{COMPLETIONS}"
        with httpx.stream("POST", url, content=b"{}", timeout=PATIENCE, trust_env=False):
            assert released.wait(PATIENCE), "the engine could write it all, and nobody read it"
        assert written < 64 * MEBIBYTE
