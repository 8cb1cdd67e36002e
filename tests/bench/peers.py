"""First step: the programs to be measured, each started before the same engines and ended by its pid.

Rust routers come from PyPI into environments of their own with their versions below, nginx from Debian, as the tests
have it.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from router.balancers import nginx_of
from support.ports import free_ports

HERE = Path(__file__).resolve().parent
CACHE = (HERE.parent.parent / ".cache" / "bench").resolve()
VERSIONS = {"vllm-router": "0.1.17", "sglang-router": "0.3.2"}
PATIENCE = 60.0


@dataclass(frozen=True)
class Place:
    """Where a peer is to listen, its engines' ports by role, and a folder of its own."""

    folder: Path
    port: int
    workers: Sequence[int]
    prefillers: Sequence[int] = ()
    tls: tuple[Path, Path] | None = None


Command = tuple[list[str], dict[str, str]]
Peer = Callable[[Place], Command]


def dpd(place: Place, **sections: Any) -> Command:
    """Our router as the chart configures it: access log, metrics, prefix-aware strategy; under PD the ledger, too."""
    pools: dict[str, Any] = {"worker": _addresses(place.workers)}
    if place.prefillers:
        pools = {"prefill": _addresses(place.prefillers), "decode": _addresses(place.workers)}
        sections["transfer"] = {"connector": "nixl"}
    if place.tls:
        sections["tls"] = {"mode": "permissive", "certificate": str(place.tls[0]), "key": str(place.tls[1])}
    document = {
        "endpoint": {"name": "bench", "namespace": "default", "invocationPath": "/v1/chat/completions"},
        "discovery": {"mode": "static"},
        "listen": {"host": "127.0.0.1", "port": place.port},
        "metrics": {"host": "127.0.0.1", "port": free_ports(1)[0]},
        "pools": pools,
        "routing": {"strategy": "prefixaware", "threshold": 0},
        **sections,
    }
    file = place.folder / "router.yaml"
    file.write_text(yaml.safe_dump(document))
    return [sys.executable, "-m", "dpd_router", "--config", str(file)], {}


def vllm_router(place: Place) -> Command:
    """The Rust router of the vLLM project, cache-aware as it is by default."""
    found = [_program("vllm-router"), "--host", "127.0.0.1", "--port", str(place.port), "--policy", "cache_aware"]
    found += ["--prometheus-port", str(free_ports(1)[0]), "--log-level", "warning"]
    if not place.prefillers:
        return [*found, "--worker-urls", *map(_url, place.workers)], {}
    prefill = [part for port in place.prefillers for part in ("--prefill", _url(port), "none")]
    decode = [part for port in place.workers for part in ("--decode", _url(port))]
    return [*found, "--vllm-pd-disaggregation", "--kv-connector", "nixl", *prefill, *decode], {}


def sglang_router(place: Place) -> Command:
    """The Rust router of the SGLang project, cache-aware as it is by default."""
    found = [_program("sglang-router"), "launch", "--host", "127.0.0.1", "--port", str(place.port)]
    found += ["--policy", "cache_aware", "--prometheus-port", str(free_ports(1)[0]), "--log-level", "warn"]
    return [*found, "--worker-urls", *map(_url, place.workers)], {}


def nginx(place: Place) -> Command:
    """nginx as a plain proxy: no strategy, no access log."""
    return nginx_of(place.folder, place.port, place.workers)


PEERS: Mapping[str, Peer] = {"dpd": dpd, "nginx": nginx, "vllm-router": vllm_router, "sglang-router": sglang_router}


@contextlib.contextmanager
def running(command: Command, port: int, folder: Path) -> Iterator[int]:
    """Run a command until the block ends; yield its pid once it answers on `port`. Raises RuntimeError."""
    arguments, environment = command
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "peer.log")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":3}'
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body)
    asked.add_header("content-type", "application/json")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(asked, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{process.args!r}: does not answer on port {port}; its log:\n{log.read_text()[-2000:]}")


def _program(name: str) -> str:
    """Return the path of a router from PyPI, installed on first use."""
    folder = CACHE / f"{name}-{VERSIONS[name]}"
    program = folder / "bin" / name
    if not program.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{name}=={VERSIONS[name]}"], check=True)
    return str(program)


def _addresses(ports: Sequence[int]) -> list[dict[str, Any]]:
    return [{"host": "127.0.0.1", "port": port} for port in ports]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
