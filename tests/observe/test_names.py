"""Names: what the queries ask for is what the collector in the pods serves, and what the documents name is recorded."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import manifests, named, template
from collector.provision import PROGRAM
from observe.rules import NIXL, PAGE, rules, table
from support.paths import ROOT
from support.ports import free_ports

PATIENCE = 30.0
COUNTED = re.compile(r"\b((?:vllm:|lmcache:|dpd_router_)\w+)\{")
LABELS = {"namespace": "default", "resource_name": "dpd-test"}
MOMENT = {"attributes": [{"key": name, "value": {"stringValue": text}} for name, text in LABELS.items()]}


def asked_for() -> set[str]:
    """The names of all series of engines and routers in the table's queries."""
    queries = [query["expr"] for row in table("rows") for panel in row["panels"] for query in panel["queries"]]
    return {name for text in [*queries, *(each["expr"] for each in table("alerts"))] for name in COUNTED.findall(text)}


def scraped(name: str) -> dict[str, Any]:
    """A series as the collector's Prometheus receiver hands it on."""
    point = {**MOMENT, "timeUnixNano": str(time.time_ns()), "startTimeUnixNano": "1"}
    if name.endswith("_total"):
        return {
            "name": name,
            "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [{**point, "asDouble": 1}]},
        }
    family = re.sub(r"_(bucket|sum)$", "", name)
    if family != name:
        buckets = {"count": "3", "sum": 2.0, "bucketCounts": ["1", "2"], "explicitBounds": [0.5]}
        return {"name": family, "histogram": {"aggregationTemporality": 2, "dataPoints": [{**point, **buckets}]}}
    return {"name": name, "gauge": {"dataPoints": [{**point, "asDouble": 1}]}}


def until_it_answers(ask: Callable[[], str]) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "the collector never answered"
            time.sleep(0.1)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A collector with the exporter that the chart gives it: the ports at which it is told, and at which it tells."""
    assert PROGRAM.exists(), "there is no collector to ask: `make collector` builds it"
    drawn = manifests(template("helm", PAGE))
    config = yaml.safe_load(named(drawn, "ConfigMap", "dpd-test-otel")["data"]["config.yaml"])
    told, tells = free_ports(2)
    exporter = {**config["exporters"]["prometheus"], "endpoint": f"127.0.0.1:{tells}"}
    pipeline = {**config["service"]["pipelines"]["metrics"], "receivers": ["otlp"]}
    moved = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{told}"}}}},
        "processors": config["processors"],
        "exporters": {"prometheus": exporter},
        "service": {"pipelines": {"metrics": pipeline}, "telemetry": {"metrics": {"level": "none"}}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(moved))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "--config", tmp_path / "config.yaml"], stdout=log, stderr=log)
        try:
            yield told, tells
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_a_collector_serves_what_the_queries_ask_for_by_the_very_names(collector: tuple[int, int]) -> None:
    told, tells = collector
    names = asked_for()
    assert len(names) > 25
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "model"}}]}
    metrics = {each["name"]: each for each in map(scraped, names)}
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": list(metrics.values())}]}]}
    data, kind = json.dumps(body).encode(), {"content-type": "application/json"}

    def tell() -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{told}/v1/metrics", data, kind)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.status)

    def served() -> set[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{tells}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        lines = [
            line for line in text.splitlines() if all(f'{name}="{value}"' in line for name, value in LABELS.items())
        ]
        return {line.partition("{")[0] for line in lines}

    assert until_it_answers(tell) == "200"
    deadline = time.monotonic() + PATIENCE
    while not names <= served() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert names - served() == set()


def test_every_name_of_ours_in_the_documents_is_recorded() -> None:
    recorded = {each["record"] for flags in ((), NIXL) for each in rules(PAGE, *flags) if "record" in each}
    for page in ("operations.md", "sidecars.md", "sizing.md"):
        text = (ROOT / "docs" / page).read_text()
        assert set(re.findall(r"`(dpd:[a-z_]\w*(?::\w+)?)", text)) <= recorded, page
