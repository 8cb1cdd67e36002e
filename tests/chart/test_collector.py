"""The collectors' configurations, read by promtool and by a collector that is built from the very modules they name."""

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import prometheus
from chart.collectors import Config, drawn, scraped, variables
from collector.provision import HERE, PROGRAM
from support.paths import CHART
from support.programs import found

GO_MOD = HERE / "go.mod"


@cache
def configurations() -> list[tuple[str, Config, set[str]]]:
    """Return every configuration; they are shared: change none."""
    return list(drawn())


def the_fullest() -> Config:
    """Return the configuration with the most in it, for tests to spoil."""
    return copy.deepcopy(next(config for _, config, _ in configurations() if "otlp" in config["receivers"]))


def promtool(folder: Path, configs: Iterable[Config]) -> subprocess.CompletedProcess[str]:
    """Let promtool read what the prometheus receivers of configurations are to scrape."""
    files: list[Path] = []
    for number, config in enumerate(configs):
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(yaml.safe_dump(scraped(config)))
    command = [found(prometheus.find).promtool, "check", "config", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def collector(folder: Path, config: Config) -> subprocess.CompletedProcess[str]:
    """Let the collector say what it thinks of a configuration."""
    assert PROGRAM.exists(), "there is no collector to ask: `make collector` builds it"
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    environment = dict.fromkeys(variables(config), "set")
    command = [str(PROGRAM), "validate", "--config", str(file)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_workers_and_routers_have_collectors() -> None:
    jobs = [sorted(each["job_name"] for each in scraped(config)["scrape_configs"]) for _, config, _ in configurations()]
    assert ["model", "reverse-proxy"] in jobs
    assert ["router"] in jobs


def test_what_a_collector_scrapes_is_what_prometheus_takes(tmp_path: Path) -> None:
    configs = {json.dumps(scraped(config)): config for _, config, _ in configurations()}
    done = promtool(tmp_path, configs.values())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(configs)


def wrong_key(scrape: Config) -> None:
    scrape["scrape_configs"][0]["metric_path"] = "/metrics"


def wrong_interval(scrape: Config) -> None:
    scrape["global"]["scrape_interval"] = "15"


def same_job_twice(scrape: Config) -> None:
    scrape["scrape_configs"] *= 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (wrong_key, "field metric_path not found"),
        (wrong_interval, "not a valid duration string"),
        (same_job_twice, "multiple scrape configs with job name"),
    ],
)
def test_what_prometheus_would_refuse_to_scrape_is_refused(
    spoil: Callable[[Config], None], says: str, tmp_path: Path
) -> None:
    config = the_fullest()
    spoil(scraped(config))
    done = promtool(tmp_path, [config])
    assert done.returncode == 1
    assert says in done.stdout + done.stderr


def test_a_collector_takes_every_form_of_its_configuration(tmp_path: Path) -> None:
    # What is scraped differs from case to case; what is left has a few forms.
    configs = [config for _, config, _ in configurations()]
    forms = {json.dumps(config | {"receivers": sorted(config["receivers"])}): config for config in configs}
    assert len(forms) >= 2
    for config in forms.values():
        done = collector(tmp_path, config)
        assert done.returncode == 0, done.stderr


def test_a_collector_has_the_variables_that_its_configuration_asks_for() -> None:
    lacking = {name: variables(config) - has for name, config, has in configurations() if not variables(config) <= has}
    assert lacking == {}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("receivers.prometheus.scrape", {}, "invalid keys: scrape"),
        ("receivers.otlp.protocols.https", {}, "invalid keys: https"),
        ("exporters.otlphttp.address", "http://a", "invalid keys: address"),
        ("exporters.otlphttp.endpoint", "", "exporters::otlphttp"),
        ("receivers.statsd", {}, 'unknown type: "statsd"'),
        ("processors.memory_limiter.limit", 80, "invalid keys: limit"),
        ("processors.memory_limiter.check_interval", "soon", "time: invalid duration"),
        ("processors.memory_limiter.limit_percentage", 101, "processors::memory_limiter"),
        ("exporters.prometheus.address", "0.0.0.0:9464", "invalid keys: address"),
        ("exporters.debug.verbosity", "loud", 'unknown metrics level "loud"'),
        ("extensions.health_check.port", 13133, "invalid keys: port"),
        ("service.extensions", ["zpages"], 'references extension "zpages" which is not configured'),
        ("service.pipelines.metrics.exporters", ["otlp"], 'references exporter "otlp" which is not configured'),
        ("service.pipelines.metrics.receivers", ["statsd"], 'references receiver "statsd" which is not configured'),
        ("service.pipelines.traces.processors", ["batch"], 'references processor "batch" which is not configured'),
        ("service.pipelines.traces.exporters", [], "must have at least one exporter"),
        ("service.telemetry.logs.verbosity", "high", "invalid keys: verbosity"),
    ],
)
def test_a_configuration_that_the_collector_would_refuse_is_refused(
    path: str, value: Any, says: str, tmp_path: Path
) -> None:
    config = the_fullest()
    *way, key = path.split(".")
    place = config
    for step in way:
        place = place[step]
    place[key] = value
    done = collector(tmp_path, config)
    assert done.returncode == 1
    assert says in done.stderr.replace("'", '"')


def test_the_collector_that_was_asked_is_of_the_charts_version() -> None:
    image = yaml.safe_load((CHART / "values.yaml").read_text())["collector"]["image"]
    assert image["repository"] == "otel/opentelemetry-collector-contrib"
    pinned = re.findall(
        r"^\t(\S+)/\w+(?:exporter|receiver|processor|extension) v(\S+)$", GO_MOD.read_text(), re.MULTILINE
    )
    assert len(pinned) >= 6
    assert {version for _, version in pinned} == {image["tag"]}
