"""A real nginx started with the files that the chart renders."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from chart.helm import manifests, named, pod_spec, template
from nginx import Nginx
from support.paths import CHART
from support.ports import free_ports

PATIENCE = 20.0


class Proxy(NamedTuple):
    """A running nginx: where it listens, where its upstream shall, and how it labels what it counts."""

    relay: str
    metrics: str
    upstream_port: int
    process: subprocess.Popen[bytes]


def prepare(folder: Path) -> tuple[int, int, int, dict[str, str]]:
    """Write the rendered files into `folder`, only ports and paths changed; return the ports and the environment."""
    documents = manifests(template("helm", CHART / "ci" / "dpd-values.yaml"))
    relay, metrics, upstream = free_ports(3)
    config = named(documents, "ConfigMap", "dpd-test-proxy")["data"]
    text = config["nginx.conf"]
    for old, new in (
        ("/tmp/", f"{folder}/tmp/"),
        ("/etc/dpd-proxy", str(folder)),
        ("listen 8081;", f"listen 127.0.0.1:{relay};"),
        ("listen 9113;", f"listen 127.0.0.1:{metrics};"),
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "tmp").mkdir()
    (folder / "nginx.conf").write_text(text)
    (folder / "metrics.lua").write_text(config["metrics.lua"])
    container = pod_spec(named(documents, "Deployment", "decode-dpd-test"))["containers"][1]
    environment = {each["name"]: each.get("value", f"a-{each['name'].lower()}") for each in container["env"]}
    return relay, metrics, upstream, environment


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until nginx answers on `url`; fail when it ends or never does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "nginx ended by itself"
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx did not answer on {url}")


@contextlib.contextmanager
def running(nginx: Nginx, folder: Path) -> Iterator[Proxy]:
    """Run nginx with the page's rendered configuration until the block ends; nothing listens behind it yet."""
    relay, metrics, upstream, environment = prepare(folder)
    command = [*nginx.command, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **nginx.environment, **environment}, stdout=log, stderr=log
        )
        try:
            wait_until_up(f"http://127.0.0.1:{metrics}/healthz", process)
            yield Proxy(f"http://127.0.0.1:{relay}", f"http://127.0.0.1:{metrics}", upstream, process)
        finally:
            process.terminate()
            process.wait(PATIENCE)
