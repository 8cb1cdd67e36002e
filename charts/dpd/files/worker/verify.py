"""Before and while a worker starts: does it have what its role needs? Fails where the engine would just get slow.

`verify.py settings` runs in an init container, before the engine: LMCache's settings as the engine will read them, and
EFA's devices. `verify.py ready` is the engine's startup probe: it answers, its cache is up, a decoder's ports take
connections. LMCache that cannot start logs "degraded mode (recompute)" and leaves the engine healthy without it;
libfabric that finds no EFA falls back to TCP and says nothing.

Runs on the worker image's own python3; needs nothing but PyYAML, which LMCache needs too.
"""

import argparse
import ipaddress
import os
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PREFIX = "LMCACHE_"
CONFIG_FILE = "LMCACHE_CONFIG_FILE"
# LMCache registers this one with its engine, and only a few others without one.
ENGINE_METRIC = "\nlmcache:local_cache_usage{"
BACKENDS = {"efa": "LIBFABRIC", "tcp": "UCX"}
TRUE = ("true", "1")
PORT_LISTS = ("pd_peer_init_port", "pd_peer_alloc_port")
HIGHEST_PORT = 65535
SECONDS = 4.0
Settings = dict[str, Any]


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one of the two checks. Every fault is a line on standard error; the exit status is 1 when there is any."""
    options = parser().parse_args(arguments)
    faults = before(options, environment) if options.check == "settings" else while_starting(options, environment)
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="verify.py", description="Check a worker before and while it starts.")
    checks = top.add_subparsers(dest="check", required=True)
    settings = checks.add_parser("settings", help="LMCache's settings and EFA's devices, before the engine starts")
    settings.add_argument("--fabric", choices=list(BACKENDS), default="tcp", help="what carries a transfer")
    settings.add_argument("--efa", type=int, default=0, help="EFA devices that must be here; 0: do not look")
    settings.add_argument("--kernel", type=Path, default=Path("/sys/class/infiniband"), help="where devices are listed")
    settings.add_argument("--files", type=Path, default=Path("/dev/infiniband"), help="where the devices' files are")
    ready = checks.add_parser("ready", help="the engine answers, and its cache is up")
    ready.add_argument("--url", required=True, help="the engine's health check; its /metrics is asked too")
    for check in (settings, ready):
        check.add_argument("--role", choices=["sender", "receiver"], help="what the pod was drawn as, if it transfers")
        check.add_argument("--ranks", type=int, default=1, help="tensor-parallel ranks")
    return top


def before(options: argparse.Namespace, environment: Mapping[str, str]) -> list[str]:
    """Return the faults of settings and devices."""
    settings, faults = effective(environment)
    if options.role and not faults:
        faults = transfer_faults(settings, options.role, options.ranks, BACKENDS[options.fabric])
    if options.efa:
        faults += fabric_faults(efa_devices(options.kernel), device_files(options.files), options.efa, environment)
    return faults


def while_starting(options: argparse.Namespace, environment: Mapping[str, str]) -> list[str]:
    """Return what keeps the engine from being of use; before it answers, that it does not."""
    try:
        get(options.url)
        metrics = get(urllib.parse.urljoin(options.url, "/metrics"))
    except (OSError, ValueError) as error:
        return [f"{options.url}: {error}; wait for the engine, or read its log"]
    faults = cache_faults(metrics)
    if options.role == "receiver":
        settings, unread = effective(environment)
        faults += unread or port_faults(settings)
    return faults


def effective(environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return LMCache's settings as it reads them, a file and over it LMCACHE_ variables, or why they cannot be read."""
    settings: Settings = {}
    faults: list[str] = []
    if CONFIG_FILE in environment:
        settings, faults = document(Path(environment[CONFIG_FILE]))
    for name, value in environment.items():
        if name.startswith(PREFIX) and name != CONFIG_FILE and value:
            settings[name.removeprefix(PREFIX).lower()] = value
    return settings, faults


def document(path: Path) -> tuple[Settings, list[str]]:
    """Return a YAML file's mapping, or why there is none."""
    import yaml  # here, for without LMCache nothing is read, and such an image need not have PyYAML

    try:
        loaded = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{CONFIG_FILE}: {path} cannot be read: {error}; mount the file there"]
    except yaml.YAMLError as error:
        return {}, [f"{CONFIG_FILE}: {path} is not YAML: {' '.join(str(error).split())}; correct it"]
    try:
        return dict(loaded or {}), []
    except (TypeError, ValueError):
        return {}, [f"{CONFIG_FILE}: {path} holds no mapping; write one setting on a line, as `chunk_size: 256`"]


def transfer_faults(settings: Settings, role: str, ranks: int, backend: str) -> list[str]:
    """Return what of the settings would leave a role without its transfer."""
    faults = []
    if str(settings.get("enable_pd")).lower() not in TRUE:
        faults.append(f"enable_pd: {settings.get('enable_pd')}, and this pod is a {role}; set it to true")
    if settings.get("pd_role") != role:
        faults.append(f"pd_role: {settings.get('pd_role')}, and this pod was drawn as {role}; do not set it by hand")
    size = number(settings.get("pd_buffer_size"))
    if size is None or size <= 0:
        found = settings.get("pd_buffer_size")
        faults.append(f"pd_buffer_size: {found} is no number of bytes; set PD_BUFFER_SIZE, for example to 8589934592")
    backends = items(settings.get("nixl_backends"))
    if backends != [backend]:
        faults.append(f"nixl_backends: {backends}, and the pod was drawn for {backend}; set transfer.fabric instead")
    if role == "receiver":
        faults += receiver_faults(settings, ranks)
    return faults


def receiver_faults(settings: Settings, ranks: int) -> list[str]:
    """Return what keeps a decoder from listening for prefillers."""
    faults = []
    host = str(settings.get("pd_peer_host"))
    try:
        ipaddress.ip_address(host)
    except ValueError:
        faults.append(f"pd_peer_host: {host} is no address; set LMCACHE_PD_PEER_HOST to $(POD_IP)")
    taken: list[int] = []
    for name in PORT_LISTS:
        ports = [number(each) for each in items(settings.get(name))]
        if len(ports) != ranks:
            faults.append(f"{name}: {len(ports)} ports for {ranks} tensor-parallel ranks; give one for each rank")
        good = [port for port in ports if port is not None and 0 < port <= HIGHEST_PORT]
        if len(good) != len(ports):
            faults.append(
                f"{name}: {items(settings.get(name))} are not all ports; use numbers from 1 to {HIGHEST_PORT}"
            )
        twice = sorted({port for port in good if (taken + good).count(port) > 1})
        if twice:
            faults.append(f"{name}: {twice} used twice; move transfer.initPort or transfer.allocPort")
        taken += good
    return faults


def number(value: object) -> int | None:
    """Return a whole number that may be written as text, or None."""
    try:
        return int(str(value))
    except ValueError:
        return None


def items(value: object) -> list[str]:
    """Return a list that a file writes as a list and a variable as words between commas."""
    return [each.strip(" '\"") for each in str(value).strip("[] ").split(",")] if value not in (None, "", []) else []


def efa_devices(kernel: Path) -> list[str]:
    """Return the names of the kernel's RDMA devices that EFA's driver made."""
    found = sorted(kernel.iterdir()) if kernel.is_dir() else []
    return [each.name for each in found if (each / "device" / "driver").resolve().name == "efa"]


def device_files(folder: Path) -> list[str]:
    """Return the RDMA devices' files that this process may open."""
    found = sorted(folder.glob("uverbs*")) if folder.is_dir() else []
    return [each.name for each in found if os.access(each, os.R_OK | os.W_OK)]


def fabric_faults(devices: list[str], files: list[str], wanted: int, environment: Mapping[str, str]) -> list[str]:
    """Return what would make libfabric take TCP where EFA was asked for."""
    remedy = "install EFA's driver and device plugin on the node, or set transfer.fabric to tcp"
    faults = []
    if len(devices) < wanted:
        faults.append(f"EFA: {len(devices)} devices in the kernel, and the pod asks for {wanted}; {remedy}")
    if len(files) < wanted:
        faults.append(f"EFA: {len(files)} device files can be opened, and the pod asks for {wanted}; {remedy}")
    provider = environment.get("FI_PROVIDER")
    if provider != "efa":
        faults.append(f"FI_PROVIDER: {provider}, so libfabric may take another fabric than EFA; set it to efa")
    return faults


def get(url: str) -> str:
    """Return what a URL answers. Raises OSError, also for any status but 200, and ValueError when it is no URL."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - the chart writes it: our own pod over http
        return str(answer.read().decode(errors="replace"))


def cache_faults(metrics: str) -> list[str]:
    """Return whether LMCache is not in the engine, by what the engine exposes."""
    if ENGINE_METRIC in "\n" + metrics:
        return []
    fact = "the engine serves without LMCache"
    return [f"{fact}; look for `degraded mode (recompute)` in its log, the lines before it say why"]


def port_faults(settings: Settings) -> list[str]:
    """Return the ports of a decoder on which no prefiller could reach it."""
    host, faults = str(settings.get("pd_peer_host")), []
    for name in PORT_LISTS:
        for port in items(settings.get(name)):
            try:
                socket.create_connection((host, int(port)), SECONDS).close()
            except (OSError, ValueError) as error:
                faults.append(f"{name}: nothing listens on {host}:{port} ({error}); read the engine's log of its start")
    return faults


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
