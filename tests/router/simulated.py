"""Simulated engines as processes of their own, started the way a rendered worker container starts them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.ports import free_ports

PAGE = 256 * 256  # bytes of a page of the tiny model
STARTED = "vllm:prompt_tokens_total"
TINY = {
    "PYTHONHASHSEED": "0",
    "DPD_SIM_MODEL": "tiny",
    "DPD_SIM_SPEED": "50",
    "DPD_SIM_ADMIN": "1",
    "DPD_SIM_METRICS_LAG": "0",
}
ROLES = {
    "sender": ("kv_producer", {}),
    "receiver": ("kv_consumer", {"skip_last_n_tokens": 0}),
}


@dataclass
class Sim:
    """One engine process."""

    port: int
    config: Path | None
    arguments: list[str]
    log: Path
    process: subprocess.Popen | None = None

    def start(self) -> None:
        env = {**os.environ, **TINY}
        if self.config:
            env["LMCACHE_CONFIG_FILE"] = str(self.config)
        command = [sys.executable, "-m", "dpd_sim", "--model", "m", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *self.arguments], env=env, stdout=log, stderr=log)

    def wait(self, seconds: float = 30) -> None:
        """Wait until the engine is well."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def post(self, path: str, body: dict) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=30)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = httpx.get(f"{self.url}/sim/state").json()
        return state

    def used(self) -> int:
        return sum(rank["used"] for rank in self.state()["pages"])

    def asked(self) -> float:
        """Generation requests it has been given so far."""
        text = httpx.get(f"{self.url}/metrics").text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(STARTED))


@dataclass
class Ports:
    notify: int
    init: list[int]
    alloc: list[int]

    @property
    def transfer(self) -> dict:
        """The router's section for these ports."""
        return {
            "initPorts": self.init,
            "allocPorts": self.alloc,
            "notify": {"host": "127.0.0.1", "port": self.notify},
            "readySeconds": 5,
        }


def make(folder: Path, role: str, port: int, ports: Ports, pages: int = 256) -> Sim:
    """Prepare an engine of a role; `start` runs it."""
    name, extra = ROLES[role]
    ends = (
        {"pd_proxy_host": "127.0.0.1", "pd_proxy_port": ports.notify}
        if role == "sender"
        else {"pd_peer_host": "127.0.0.1", "pd_peer_init_port": ports.init, "pd_peer_alloc_port": ports.alloc}
    )
    config = folder / f"{role}-{port}.yaml"
    document = {
        "enable_pd": True,
        "pd_role": role,
        "transfer_channel": "nixl",
        "pd_buffer_size": pages * PAGE,
        "pd_buffer_device": "cpu",
        "local_cpu": False,
        "save_unfull_chunk": True,
        **ends,
    }
    config.write_text(yaml.safe_dump(document))
    connector = {
        "kv_connector": "LMCacheConnectorV1",
        "kv_role": name,
        "kv_load_failure_policy": "recompute",
        "kv_connector_extra_config": {"discard_partial_chunks": False, **extra},
    }
    arguments = ["--max-model-len", "16384", "--tensor-parallel-size", str(len(ports.init))]
    arguments += ["--kv-transfer-config", json.dumps(connector)]
    if role == "receiver":
        arguments.append("--no-enable-prefix-caching")
    return Sim(port, config, arguments, folder / f"{role}-{port}.log")


@contextlib.contextmanager
def pair(folder: Path, ranks: int = 2, senders: int = 1) -> Iterator[tuple[list[Sim], Sim, Ports]]:
    """Run `senders` prefillers and a decoder; ends them, however the test ends."""
    notify, receiver_port, *rest = free_ports(2 + 2 * ranks + senders)
    ports = Ports(notify, rest[:ranks], rest[ranks : 2 * ranks])
    prefillers = [make(folder, "sender", port, ports) for port in rest[2 * ranks :]]
    decoder = make(folder, "receiver", receiver_port, ports)
    try:
        for each in (*prefillers, decoder):
            each.start()
        for each in (*prefillers, decoder):
            each.wait()
        yield prefillers, decoder, ports
    finally:
        for each in (*prefillers, decoder):
            each.kill()
