"""The router as a process of its own before simulated engines, and requests generated from its own description."""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from router.simulated import Sim, pair
from support.ports import free_ports

# What the router says of itself; engines have other words for their own faults.
OWN_FAULTS = ("internal_error", "upstream_error", "service_unavailable_error")
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance, unsupported_method]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
PATIENCE = 60


@dataclass
class Endpoint:
    """A running endpoint and what was asked of it."""

    url: str
    prefiller: Sim
    decoder: Sim
    log: Path
    answers: Counter = field(default_factory=Counter)
    engine_faults: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/openapi.json").json()
        return found


@contextlib.contextmanager
def endpoint(folder: Path, threshold: int) -> Iterator[Endpoint]:
    """Run a prefiller, a decoder and a router; ends them, however the test ends."""
    (port,) = free_ports(1)
    with pair(folder, ranks=1) as ((prefiller,), decoder, ports):
        document = {
            "listen": {"host": "127.0.0.1", "port": port},
            "endpoint": {"name": "e", "invocationPath": "/invocations"},
            "routing": {"threshold": threshold},
            "transfer": ports.transfer,
            "pools": {
                role: [{"host": "127.0.0.1", "port": sim.port}]
                for role, sim in (("prefill", prefiller), ("decode", decoder))
            },
            "health": {"intervalSeconds": 0.2},
        }
        config, log = folder / "router.yaml", folder / "router.log"
        config.write_text(yaml.safe_dump(document))
        with log.open("wb") as output:
            command = [sys.executable, "-m", "dpd_router", "--config", str(config)]
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            made = Endpoint(f"http://127.0.0.1:{port}", prefiller, decoder, log)
            _wait(made, process)
            yield made
        finally:
            process.terminate()
            process.wait(20)


def _wait(made: Endpoint, process: subprocess.Popen, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, made.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            health = httpx.get(f"{made.url}/health").json()
            if health["healthy"]["prefill"] and health["healthy"]["decode"]:
                return
        time.sleep(0.05)
    raise AssertionError(made.log.read_text())


def bombard(made: Endpoint, cases: int, start: int) -> None:
    """Send at least `cases` generated requests, good ones and bad ones, to everything the description holds."""
    described = made.described()
    for name in described["components"]["schemas"].values():  # most names are no model's, and one refusal is enough
        if "model" in name.get("properties", {}):
            name["properties"]["model"] = {"enum": ["m"]}
    schema = schemathesis.openapi.from_dict(described)
    operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    most = -(-cases // (len(MODES) * sum(operation.method == "post" for operation in operations)))
    for number, (operation, mode) in enumerate((each, mode) for each in operations for mode in MODES):
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # what has neither parameters nor a body cannot be asked wrongly
        limit = most if operation.method == "post" else 5

        @seed(start + number)
        @settings(
            max_examples=limit,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            _ask(made, case)

        ask()


def _ask(made: Endpoint, case: schemathesis.Case) -> None:
    answer = case.call(base_url=made.url, timeout=PATIENCE)  # an answer that does not come is an exception
    made.answers[answer.status_code] += 1
    if answer.status_code >= 500:
        text = answer.content.decode()
        assert not any(f'"type":"{fault}"' in text for fault in OWN_FAULTS), (case.as_curl_command(), text)
        made.engine_faults.append(case.as_curl_command())
        return
    case.validate_response(answer, checks=CHECKS)


def quiet(made: Endpoint, seconds: float = 30) -> dict[str, int]:
    """Wait until nothing is under way; return what is left of pages and requests."""
    deadline = time.monotonic() + seconds
    while True:
        left = {"pages": made.decoder.used(), **_under_way(made)}
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _under_way(made: Endpoint) -> dict[str, int]:
    found = {}
    for line in httpx.get(f"{made.url}/metrics").text.splitlines():
        name, _, value = line.partition(" ")
        if name == "dpd_router_background_tasks" or name.startswith("dpd_router_pages_reserved{"):
            found[name] = int(float(value))
    return found


def lines(made: Endpoint, word: str) -> list[str]:
    return [line for line in made.log.read_text().splitlines() if word in line]


def pretty(answers: Counter) -> str:
    return json.dumps({str(status): count for status, count in sorted(answers.items())})
