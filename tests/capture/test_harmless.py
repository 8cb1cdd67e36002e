"""Whatever becomes of copies, requests know nothing of it: storage that refuses, is slow or gone; no uploader."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from capture.running import (
    COMPLETIONS,
    FULL,
    HANDED_OVER,
    UNREACHABLE,
    UPLOADER_FULL,
    Pod,
    capturing,
    echo,
    engine,
    keys_of,
    records,
)
from chart.proxy import PATIENCE, until
from chart.upstream import Upstream, one_by_one, read_body, reply, serving
from model.bucket import Service
from support.ports import free_ports

MEBIBYTE = 1024**2


def most_memory(process: int) -> int:
    """Return the most memory that a process has held, in bytes."""
    (line,) = [each for each in Path(f"/proc/{process}/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def storage(answer: object) -> Iterator[tuple[str, Upstream]]:
    """An HTTP server where S3 is expected."""
    (port,) = free_ports(1)
    with serving(port, answer) as started:  # type: ignore[arg-type]
        yield f"http://127.0.0.1:{port}", started


def nowhere() -> str:
    """Return an address where nobody listens."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("status", [403, 500, 503])
def test_what_storage_refuses_is_tried_until_it_is_stored(tmp_path: Path, status: int) -> None:
    refusals = iter([status] * 3)
    stored: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = read_body(handler)
        refusal = next(refusals, None)
        if refusal is None:
            stored.append(body)
        reply(handler, refusal or 200, b"<Error><Code>Refused</Code></Error>" if refusal else b"")

    with storage(answer) as (url, s3), capturing(tmp_path, url) as pod, engine(pod.proxy, echo):
        assert pod.post(b'{"a": 1}').content == b'{"a": 1}'
        pod.stored(1)
        assert pod.proxy.counts()["dpd_capture_failed_puts_total"] == 3
        assert pod.stop() == 0
    assert len(stored) == 1
    assert len({each.path for each in s3.seen}) == 1, "one object, however often it is tried"
    assert f"HTTP {status}" in pod.said()


def test_permission_that_comes_later_is_enough(service: Service, tmp_path: Path) -> None:
    user = service.user("late", "s3:ListBucket")
    with capturing(tmp_path, user) as pod, engine(pod.proxy, echo):
        pod.post()
        until(lambda: pod.proxy.counts()["dpd_capture_failed_puts_total"] > 0, "an attempt is refused")
        assert "let the pod's role put objects there" in pod.said()
        allow(service, "late")
        pod.stored(1)
    assert len(records(service)) == 1
    assert keys_of(user)["AWS_SECRET_ACCESS_KEY"] not in pod.said()


def allow(service: Service, name: str) -> None:
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}'
    service.client("iam").put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy)  # type: ignore[attr-defined]


def test_while_storage_is_gone_memory_is_bounded_and_every_answer_is_whole(tmp_path: Path) -> None:
    body = os.urandom(MEBIBYTE)
    with capturing(tmp_path, nowhere(), "--set=capture.memoryMiB=8") as pod, engine(pod.proxy, echo):
        assert pod.uploader is not None
        assert pod.post().status_code == 200
        pod.handed_over(1)
        before = most_memory(pod.uploader.pid), most_memory(pod.proxy.child())
        for _ in range(60):
            assert pod.post(body).content == body
        until(lambda: outcomes(pod) == 61, "every copy is accounted for")
        counts = pod.proxy.counts()
        assert counts[UPLOADER_FULL] + counts[FULL] >= 50
        assert counts["dpd_capture_waiting_bytes"] <= 8 * MEBIBYTE
        assert counts["dpd_capture_held_bytes"] == 0
        assert most_memory(pod.uploader.pid) - before[0] < 40 * MEBIBYTE
        assert most_memory(pod.proxy.child()) - before[1] < 40 * MEBIBYTE


def outcomes(pod: Pod) -> float:
    counts = pod.proxy.counts()
    return counts[HANDED_OVER] + counts[UPLOADER_FULL] + counts[FULL] + counts[UNREACHABLE]


def test_a_stream_is_as_prompt_as_ever_while_storage_is_gone(tmp_path: Path) -> None:
    read = threading.Semaphore(0)
    with capturing(tmp_path, nowhere()) as pod, engine(pod.proxy, one_by_one(read)):
        events = []
        with pod.client.stream("POST", COMPLETIONS, json={}) as answered:
            for chunk in answered.iter_raw():
                events.append(chunk)
                read.release()
        assert events == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_without_an_uploader_requests_are_answered_and_copies_counted(tmp_path: Path) -> None:
    with capturing(tmp_path, nowhere(), has_uploader=False) as pod, engine(pod.proxy, echo):
        for _ in range(5):
            assert pod.post(b"[1]").content == b"[1]"
        pod.proxy.eventually(UNREACHABLE, 5)
        assert pod.proxy.counts()["dpd_capture_held_bytes"] == 0


def test_no_request_waits_for_an_uploader_that_hangs(tmp_path: Path) -> None:
    with capturing(tmp_path, nowhere(), "--set=capture.memoryMiB=8") as pod, engine(pod.proxy, echo):
        assert pod.uploader is not None
        pod.uploader.send_signal(signal.SIGSTOP)
        body = os.urandom(MEBIBYTE)
        for _ in range(20):
            assert pod.post(body).content == body
        pod.uploader.send_signal(signal.SIGCONT)
        until(lambda: outcomes(pod) == 20, "every copy is accounted for")
        assert pod.proxy.counts()[FULL] > 0


def test_an_uploader_that_dies_costs_only_what_it_held(tmp_path: Path) -> None:
    with capturing(tmp_path, nowhere()) as pod, engine(pod.proxy, echo):
        assert pod.uploader is not None
        pod.post()
        pod.handed_over(1)
        pod.uploader.kill()
        pod.uploader.wait(PATIENCE)
        assert pod.post(b"[2]").content == b"[2]"
        pod.proxy.eventually(UNREACHABLE, 1)


def test_a_pod_that_stops_while_storage_is_slow_waits_for_it(tmp_path: Path) -> None:
    release = threading.Event()
    stored: list[bytes] = []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        body = read_body(handler)
        release.wait(PATIENCE)
        stored.append(body)
        reply(handler, 200, b"")

    with storage(slow) as (url, s3), capturing(tmp_path, url) as pod, engine(pod.proxy, echo):
        assert pod.uploader is not None
        for _ in range(6):
            assert pod.post().status_code == 200
        pod.handed_over(6)
        stopping = threading.Thread(target=pod.stop)
        stopping.start()
        until(lambda: len(s3.seen) == 4, "as many are under way as there may be")
        release.set()
        stopping.join(PATIENCE)
        assert pod.uploader.returncode == 0
    assert len(stored) == 6


def test_what_cannot_be_stored_in_time_is_given_up_and_said(tmp_path: Path) -> None:
    grace = "--set=terminationGracePeriodSeconds=6,drainSeconds=1"
    with capturing(tmp_path, nowhere(), grace) as pod, engine(pod.proxy, echo):
        pod.post()
        pod.handed_over(1)
        assert pod.stop() == 1
    assert "records are lost" in pod.said()
