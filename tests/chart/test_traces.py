"""The whole way of a trace: a router as the chart configures it, the collector beside it, and what the values name."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from chart.collectors import Config, mounted, traced, variables
from chart.helm import Manifest, manifests, named, pod_spec
from collector.provision import PROGRAM
from router.otlp import receiver
from router.rig import Up, engine, long, router
from support.ports import free_ports

ROUTER = "dpd-test-default-router"


def parts(documents: list[Manifest]) -> tuple[Any, Config]:
    """Return the `tracing` section of the router's file, and the configuration of the collector beside it."""
    (file,) = manifests(named(documents, "ConfigMap", ROUTER)["data"]["config.yaml"])
    spec = pod_spec(named(documents, "Deployment", ROUTER))
    (container,) = [each for each in spec["containers"] if each["name"] == "otel-collector"]
    return dict(file["tracing"]), mounted(documents, spec, container)


@contextlib.contextmanager
def collector(folder: Path, config: Config) -> Iterator[int]:
    """Run the collector, only its ports moved; yield the one where it takes traces."""
    traces, metrics, health = free_ports(3)
    config["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = f"127.0.0.1:{traces}"
    config["exporters"]["prometheus"]["endpoint"] = f"127.0.0.1:{metrics}"
    config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{health}"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [str(PROGRAM), "--config", str(folder / "config.yaml")]
    environment = {**os.environ, **dict.fromkeys(variables(config), "set")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield traces
    finally:
        process.terminate()
        process.wait(20)


def takes(up: Up) -> bool:
    sender = up.router.tracing.sender
    return sender is not None and sender.outcomes["sent"] > 0


async def test_a_trace_reaches_what_the_values_name_by_way_of_the_collector(tmp_path):
    async with receiver() as to, engine() as prefiller, engine() as decoder:
        far = {"endpoint": to.url, "headers": {"authorization": "${env:TOKEN}"}}
        section, config = parts(traced({"otlphttp": far}))
        with collector(tmp_path, config) as port:
            section["endpoint"] = section["endpoint"].replace(":4318", f":{port}")
            async with router([prefiller], [decoder], tracing=section) as up:
                await up.post(long())
                await up.until(lambda: takes(up), seconds=30)
                await up.until(lambda: to.messages, seconds=30)
        names = {"accept", "queue", "prefill", "transfer", "decode first token", "stream"}
        assert {each.name for each in to.spans} == names | {"POST /v1/chat/completions"}
        assert to.resource["service.name"] == "dpd-router"
        assert b"\r\nauthorization: set\r\n" in to.engine.seen[0].head.lower()
