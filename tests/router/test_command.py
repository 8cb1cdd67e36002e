import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
import yaml

from dpd_router.cli import loop_factory, main
from router.otlp import receiver, tracing
from router.rig import engine, short
from support.ports import free_ports


def write(tmp_path, **sections):
    port, notify = free_ports(2)
    document = {
        "listen": {"host": "127.0.0.1", "port": port},
        "endpoint": {"name": "e"},
        "transfer": {"initPorts": [1], "allocPorts": [2], "notify": {"host": "127.0.0.1", "port": notify}},
        "pools": {"prefill": [{"host": "127.0.0.1", "port": 9}], "decode": [{"host": "127.0.0.1", "port": 9}]},
        **sections,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path, port


def test_a_bad_configuration_ends_with_2_and_every_problem(tmp_path, capsys):
    path, _ = write(tmp_path, routing={"strategy": "fastest", "treshold": 1})
    assert main(["--config", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "routing.strategy: 'fastest' is not known here; "
        "use one of: prefixaware, kvaware, session, roundrobin, leastload",
        "routing.treshold: is not a key of this section; did you mean 'threshold'?",
    ]


def test_no_configuration_is_bad_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "--config" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["listen", "notify"])
def test_a_port_that_is_taken_ends_with_1_and_the_remedy(tmp_path, capsys, which):
    path, port = write(tmp_path)
    notify = yaml.safe_load(path.read_text())["transfer"]["notify"]["port"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port if which == "listen" else notify))
        taken.listen()
        assert main(["--config", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cannot run: ")
    assert error.endswith("free the port, or change listen or transfer.notify\n")


@pytest.mark.parametrize(("name", "module"), [("asyncio", None), ("uvloop", "uvloop"), ("auto", "uvloop")])
def test_the_event_loop_can_be_chosen(name, module):
    factory = loop_factory(name)
    assert (factory and factory.__module__) == module


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_command_serves_and_ends_with_0_when_told_to(tmp_path, loop):
    path, port = write(tmp_path)
    command = [sys.executable, "-m", "dpd_router", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "DPD_ROUTER_LOOP": loop}) as process:
        try:
            health = wait_for(port)
            assert health.status_code == 503
            assert health.json()["healthy"] == {"prefill": 0, "decode": 0, "worker": 0}
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert output.decode().endswith("[INFO] router stopped: requests_cut=0 transfers_left=0\n")


async def test_the_command_sends_the_traces_it_still_has_when_told_to_end(tmp_path):
    async with receiver() as to, engine() as decoder:
        pools = {"decode": [{"host": "127.0.0.1", "port": decoder.port}]}
        path, port = write(tmp_path, pools=pools, tracing=tracing(to))
        command = [sys.executable, "-m", "dpd_router", "--config", str(path)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            async with httpx.AsyncClient() as client, asyncio.timeout(20):
                await answered(client, f"http://127.0.0.1:{port}")
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert [each.attributes["http.response.status_code"] for each in to.spans if each.kind == "server"][-1] == 200


async def answered(client: httpx.AsyncClient, url: str) -> None:
    """Ask until the router, which is only just starting, has an answer."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            if (await client.post(f"{url}/v1/chat/completions", json=short())).status_code == 200:
                return
        await asyncio.sleep(0.05)


def wait_for(port: int, seconds: float = 20) -> httpx.Response:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/health")
        time.sleep(0.05)
    raise AssertionError("the router does not listen")
