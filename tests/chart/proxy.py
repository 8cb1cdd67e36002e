"""A real nginx started with the files that the chart renders."""

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

import debian
import nginx
from chart.helm import manifests, named, pod_spec, template
from support.paths import CHART
from support.ports import free_ports

PATIENCE = 20.0


class Proxy(NamedTuple):
    """A running nginx: where it listens, where its upstream shall, its folder, and its process."""

    relay: str
    metrics: str
    upstream_port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def counts(self) -> dict[str, float]:
        """Return every sample by its name, to which its class of status, outcome or bound is added."""
        text = plain(f"{self.metrics}/metrics")
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                told = [sample.labels[each] for each in ("status_class", "outcome", "le") if each in sample.labels]
                found[":".join([sample.name, *told])] = sample.value
        return found

    def eventually(self, name: str, value: float) -> None:
        """Wait until a count is what it should be: nginx counts when it logs, a moment after the answer."""
        until(lambda: self.counts()[name] == value, f"{name} {value}")

    def child(self) -> int:
        """Return the number of the process that serves."""
        (found,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found)


def plain(url: str) -> str:
    """Return what `url` answers; without the weight of a client, for loops that look again and again."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answered:
        text: str = answered.read().decode()
        return text


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until `holds`, and fail when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


def program() -> nginx.Nginx:
    """Return an nginx with Lua; without one the test is left out, or fails where CI is set."""
    try:
        return nginx.find()
    except debian.UnavailableError as problem:
        if os.environ.get("CI"):
            pytest.fail(f"no nginx with Lua: {problem}")
        pytest.skip(f"no nginx with Lua: {problem}")


def moved(folder: Path, text: str, ports: tuple[int, int, int], also: Mapping[str, str]) -> str:
    """Return a rendered configuration that listens elsewhere, only ports and paths and what is in `also` changed."""
    relay, metrics, upstream = ports
    for old, new in {
        "/tmp/": f"{folder}/tmp/",
        "/etc/dpd-proxy": str(folder),
        "listen 8081;": f"listen 127.0.0.1:{relay};",
        "listen 9113;": f"listen 127.0.0.1:{metrics};",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        **also,
    }.items():
        assert old in text, f"the configuration has no {old}"
        text = text.replace(old, new)
    # Started by root, nginx would serve as a user who may not enter a test's folders.
    return f"user root;\n{text}" if os.geteuid() == 0 else text


def container(documents: Any, role: str, name: str) -> Any:
    """Return a container of a role's pod."""
    deployment = named(documents, "Deployment", f"{role}-dpd-test")
    (found,) = [each for each in pod_spec(deployment)["containers"] if each["name"] == name]
    return found


@contextlib.contextmanager
def running(folder: Path, *flags: str, role: str = "decode", also: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """Run a role's nginx of the page's endpoint, `flags` given to helm, until the block ends; nothing is behind it."""
    found = program()
    documents = manifests(template("helm", CHART / "ci" / "shapes" / "dpd-values.yaml", *flags))
    relay, metrics, upstream = free_ports(3)
    config = named(documents, "ConfigMap", "dpd-test-proxy")["data"]
    (folder / "tmp").mkdir(exist_ok=True)
    for name, text in config.items():
        (folder / name).write_text(
            moved(folder, text, (relay, metrics, upstream), also or {}) if name == f"{role}.conf" else text
        )
    variables = container(documents, role, "sidecar-reverse-proxy")["env"]
    environment = {each["name"]: each.get("value", f"a-{each['name'].lower()}") for each in variables}
    command = [*found.command, "-e", "stderr", "-p", str(folder), "-c", str(folder / f"{role}.conf")]
    with (folder / "log").open("wb") as log:
        started = {**os.environ, **found.environment, **environment}
        process = subprocess.Popen(command, env=started, stdout=log, stderr=log)
        try:
            wait_until_up(f"http://127.0.0.1:{metrics}/healthz", process, folder)
            yield Proxy(f"http://127.0.0.1:{relay}", f"http://127.0.0.1:{metrics}", upstream, folder, process)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_until_up(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until nginx answers on `url`; fail when it ends or never does."""

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return plain(url) == "ok\n"
        except urllib.error.URLError:
            return False

    until(answers, f"nginx answers on {url}")
