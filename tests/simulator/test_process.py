import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from dpd_sim.server import KEEP_ALIVE_SECONDS
from simulator.engines import Ports, receiver_document, transfer_flag
from support.ports import free_port

COMMAND = [sys.executable, "-W", "error", "-m", "dpd_sim"]


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LMCACHE_", "DPD_SIM_", "VLLM_"))}
    return {
        **kept,
        "DPD_SIM_MODEL": "tiny",
        "DPD_SIM_SPEED": "100",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


@contextmanager
def process(port: int, *words: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*COMMAND, "--model", "m", "--host", "127.0.0.1", "--port", str(port), *words],
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _await_port(started, port)
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


def _await_port(started: subprocess.Popen[str], port: int) -> None:
    for _ in range(500):
        assert started.poll() is None, started.communicate()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("it did not listen")


def ended(started: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    started.send_signal(number)
    out, err = started.communicate(timeout=10)
    return started.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: int) -> None:
    with process(free_port()) as started:
        code, out, err = ended(started, number)
    assert (code, err) == (0, "")
    assert "Shutting down" in out


def test_a_signal_ends_it_while_a_stream_runs_and_connections_idle() -> None:
    port = free_port()
    with process(port, DPD_SIM_SPEED="1") as started:
        idle, busy = (http.client.HTTPConnection("127.0.0.1", port) for _ in range(2))
        idle.request("GET", "/health")
        idle.getresponse().read()
        body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9000, "ignore_eos": True, "stream": True}
        busy.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = busy.getresponse()
        assert response.readline().startswith(b"data: ")
        code, _, err = ended(started, signal.SIGTERM)
        rest = response.read()
        idle.close()
        busy.close()
    assert (code, err) == (0, "")
    assert b'"error"' in rest, "the stream does not end as if it were complete"


def test_it_listens_again_on_the_same_ports_at_once(tmp_path: Path) -> None:
    ports, port = Ports.pick(1), free_port()
    config = tmp_path / "lmcache.yaml"
    config.write_text(yaml.safe_dump(receiver_document(ports)))
    for _ in range(2):
        with process(port, *transfer_flag("kv_consumer"), LMCACHE_CONFIG_FILE=str(config)) as started:
            code, out, err = ended(started, signal.SIGTERM)
        assert (code, err) == (0, "")
        assert "'pd_role': 'receiver'" in out
        assert "degraded" not in out


@pytest.mark.parametrize(
    ("words", "env", "code", "text"),
    [
        (["--model", "m", "--nonsense"], {}, 2, "error: unrecognized arguments: --nonsense"),
        ([], {}, 2, "the following arguments are required: model"),
        (["--model", "m", "-tp", "3"], {}, 1, "must be divisible by tensor parallel size (3)"),
        (["--model", "m"], {"DPD_SIM_SPEED": "x"}, 1, "DPD_SIM_SPEED: 'x' cannot be read as float"),
    ],
)
def test_bad_usage_ends_with_its_status_and_no_traceback(
    words: list[str], env: dict[str, str], code: int, text: str
) -> None:
    done = subprocess.run(
        [*COMMAND, *words], env=environment(**env), capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, text in done.stderr, "Traceback" in done.stderr, done.stdout) == (code, True, False, "")


def test_a_taken_port_ends_it_with_a_word() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        words = ["--model", "m", "--host", "127.0.0.1", "--port", str(holder.getsockname()[1])]
        done = subprocess.run(
            [*COMMAND, *words], env=environment(), capture_output=True, text=True, timeout=20, check=False
        )
    assert (done.returncode, "Address already in use" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.mark.parametrize("content", [None, "a: [", "- a list\n"])
def test_a_configuration_file_that_cannot_be_read_keeps_it_from_starting(tmp_path: Path, content: str | None) -> None:
    config = tmp_path / "lmcache.yaml"
    if content is not None:
        config.write_text(content)
    done = subprocess.run(
        [*COMMAND, "--model", "m", "--host", "127.0.0.1", "--port", str(free_port()), *transfer_flag("kv_consumer")],
        env=environment(LMCACHE_CONFIG_FILE=str(config)),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"vllm serve: error: LMCACHE_CONFIG_FILE: {config} " in done.stderr


def test_an_empty_configuration_file_leaves_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "lmcache.yaml"
    config.write_text("")
    with process(free_port(), *transfer_flag("kv_both"), LMCACHE_CONFIG_FILE=str(config)) as started:
        code, out, _ = ended(started, signal.SIGTERM)
    assert (code, "'enable_pd': False" in out, "degraded" in out) == (0, True, False)


def test_a_configuration_file_that_nobody_reads_may_be_missing(tmp_path: Path) -> None:
    with process(free_port(), LMCACHE_CONFIG_FILE=str(tmp_path / "none.yaml")) as started:
        code, out, _ = ended(started, signal.SIGTERM)
    assert (code, "LMCACHE_CONFIG_FILE" in out) == (0, False)


def test_a_dead_engine_ends_the_process_when_that_is_asked_for() -> None:
    port = free_port()
    with process(port, DPD_SIM_EXIT_ON_DEATH="1", DPD_SIM_ADMIN="1") as started:
        caller = http.client.HTTPConnection("127.0.0.1", port)
        caller.request("POST", "/sim/kill", "{}")
        caller.getresponse().read()
        caller.close()
        assert started.wait(timeout=10) == 0


def test_an_idle_connection_stays_for_the_next_request_and_is_closed_in_the_end() -> None:
    port = free_port()
    with process(port) as started, socket.create_connection(("127.0.0.1", port)) as caller:
        caller.settimeout(10 * KEEP_ALIVE_SECONDS)
        for _ in range(2):
            caller.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert caller.recv(4096).startswith(b"HTTP/1.1 200 OK")
        assert caller.recv(1) == b""
        assert ended(started, signal.SIGTERM)[0] == 0
