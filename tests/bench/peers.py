"""First step: the programs to be measured, each started before the same engines and ended by its pid.

Rust routers come from PyPI into environments of their own with their versions below, nginx from Debian, as the tests
have it.
"""

import contextlib
import os
import ssl
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import haproxy as debian_haproxy
import jemalloc
import nginx as debian_nginx
from bench.cases import RUST, SOURCES
from bench.record import told
from compiled import compiled
from support.ports import free_ports

HERE = Path(__file__).resolve().parent
CACHE = (HERE.parent.parent / ".cache" / "bench").resolve()
VERSIONS = {"vllm-router": "0.1.17", "sglang-router": "0.3.2", "py-spy": "0.4.3"}
PATIENCE = 60.0
DEBIAN = Path("/usr/bin/python3")
ROUTER = (HERE.parent.parent / "images" / "router" / "src").resolve()
NGINX_CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000; client_body_buffer_size 4m; client_max_body_size 64m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream workers {{ {servers} keepalive 512; keepalive_requests 1000000; }}
  server {{
    {listen}
    location / {{
      proxy_pass http://workers; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300;
    }}
  }}
}}
"""
HAPROXY_CONFIG = """
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  option http-no-delay
frontend clients
  bind 127.0.0.1:{port}{tls}
  default_backend workers
backend workers
  http-reuse always
{servers}
"""


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
    """Our router as its image has it: its hot modules compiled, which the first call of a clone does."""
    return _configured(place, compiled(), **sections)


def sources(place: Place) -> Command:
    """Our router as it is where nothing of it is compiled: for who looks into it, and what compiling is worth."""
    return _configured(place, ROUTER)


def _configured(place: Place, package: Path, **sections: Any) -> Command:
    """A package of ours as the chart configures it: access log, metrics, prefix-aware; under PD the ledger, too."""
    pools: dict[str, Any] = {"worker": _addresses(place.workers)}
    if place.prefillers:
        pools = {"prefill": _addresses(place.prefillers), "decode": _addresses(place.workers)}
        sections["transfer"] = {"connector": "nixl"}
    if place.tls:
        sections["tls"] = {"mode": "permissive", "certificateFile": str(place.tls[0]), "keyFile": str(place.tls[1])}
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
    environment = {**jemalloc.environment(), **packages(package)}
    return [str(interpreter()), "-m", "dpd_router", "--config", str(file)], environment


def vllm_router(place: Place) -> Command:
    """The Rust router of the vLLM project, cache-aware as it is by default."""
    found = [
        *installed_program("vllm-router"),
        "--host",
        "127.0.0.1",
        "--port",
        str(place.port),
        "--policy",
        "cache_aware",
    ]
    found += ["--prometheus-port", str(free_ports(1)[0]), "--log-level", "warning"]
    if not place.prefillers:
        return [*found, "--worker-urls", *map(_url, place.workers)], {}
    prefill = [part for port in place.prefillers for part in ("--prefill", _url(port), "none")]
    decode = [part for port in place.workers for part in ("--decode", _url(port))]
    return [*found, "--vllm-pd-disaggregation", "--kv-connector", "nixl", *prefill, *decode], {}


def sglang_router(place: Place) -> Command:
    """The Rust router of the SGLang project, cache-aware as it is by default."""
    found = [*installed_program("sglang-router"), "launch", "--host", "127.0.0.1", "--port", str(place.port)]
    found += ["--policy", "cache_aware", "--prometheus-port", str(free_ports(1)[0]), "--log-level", "warn"]
    return [*found, "--worker-urls", *map(_url, place.workers)], {}


def nginx(place: Place) -> Command:
    """nginx as a plain proxy of one process: no strategy, no access log; bodies stay in memory as ours do."""
    found = debian_nginx.find()
    servers = " ".join(f"server 127.0.0.1:{each};" for each in place.workers)
    tls = "" if place.tls is None else f"ssl_certificate {place.tls[0]}; ssl_certificate_key {place.tls[1]};"
    listen = f"listen 127.0.0.1:{place.port}{' ssl' if tls else ''}; {tls}"
    text = NGINX_CONFIG.format(folder=place.folder, servers=servers, listen=listen)
    # Started by root, nginx would serve as a user who may not enter a folder of ours.
    (place.folder / "nginx.conf").write_text(f"user root;\n{text}" if os.geteuid() == 0 else text)
    arguments = ["-e", "stderr", "-p", str(place.folder), "-c", str(place.folder / "nginx.conf")]
    return [*found.command, *arguments], found.environment


def haproxy(place: Place) -> Command:
    """HAProxy as a plain proxy of one thread."""
    found = debian_haproxy.find()
    tls = ""
    if place.tls is not None:
        both = place.folder / "both.pem"
        both.write_bytes(place.tls[0].read_bytes() + place.tls[1].read_bytes())
        tls = f" ssl crt {both}"
    servers = "\n".join(f"  server s{each} 127.0.0.1:{each}" for each in place.workers)
    (place.folder / "haproxy.cfg").write_text(HAPROXY_CONFIG.format(port=place.port, tls=tls, servers=servers))
    return [found.program, "-db", "-f", str(place.folder / "haproxy.cfg")], found.environment


def bare(place: Place) -> Command:
    """A relay on our own loop and parser that decides, checks and tells nothing."""
    return [str(interpreter()), str(HERE / "bare.py"), str(place.port), *map(str, place.workers)], packages()


def interpreter() -> Path:
    """Return the Python that ours runs on: Debian's, where it has the version of the one that runs this.

    It is built as that of our image is, guided by a profile; one that is built without takes a fifth more.
    """
    if DEBIAN.exists():
        asked = [str(DEBIAN), "-c", "import sys; print(*sys.version_info[:2])"]
        told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        if told.split() == [str(part) for part in sys.version_info[:2]]:
            return DEBIAN
    return Path(sys.executable)


def packages(ours: Path = ROUTER) -> dict[str, str]:
    """Return the environment in which that Python finds our package and what it needs."""
    return {"PYTHONPATH": os.pathsep.join([str(ours), sysconfig.get_path("purelib")])}


PEERS: Mapping[str, Peer] = {
    "dpd": dpd,
    "nginx": nginx,
    "haproxy": haproxy,
    "vllm-router": vllm_router,
    "sglang-router": sglang_router,
    "bare relay": bare,
    SOURCES: sources,
}


def versions() -> dict[str, str]:
    """Return the versions of all that ours is measured beside; Debian's tell theirs."""
    proxy, balancer = debian_nginx.find(), debian_haproxy.find()
    return {
        "nginx": told([*proxy.command, "-v"], proxy.environment),
        "haproxy": told([balancer.program, "-v"], balancer.environment),
        **{name: VERSIONS[name] for name in RUST},
    }


@contextlib.contextmanager
def running(command: Command, port: int, folder: Path, *, tls: bool = False) -> Iterator[int]:
    """Run a command until the block ends; yield its pid once it answers on `port`. Raises RuntimeError."""
    arguments, environment = command
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "peer.log", tls=tls)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path, *, tls: bool) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":3}'
    asked = urllib.request.Request(f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1/chat/completions", body)
    asked.add_header("content-type", "application/json")
    anyone = ssl._create_unverified_context() if tls else None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=5, context=anyone):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{process.args!r}: does not answer on port {port}; its log:\n{log.read_text()[-2000:]}")


def installed_program(name: str) -> list[str]:
    """Return the command of a program from PyPI, installed in an environment of its own on first use."""
    folder = CACHE / f"{name}-{VERSIONS[name]}"
    program = folder / "bin" / name
    if not program.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{name}=={VERSIONS[name]}"], check=True)
    script = program.read_bytes().startswith(b"#!")  # named with its interpreter, for the folder may have been moved
    return [str(folder / "bin" / "python"), str(program)] if script else [str(program)]


def _addresses(ports: Sequence[int]) -> list[dict[str, Any]]:
    return [{"host": "127.0.0.1", "port": port} for port in ports]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
