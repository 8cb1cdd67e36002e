"""The collectors' configurations, read by the programs that would read them."""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

import prometheus
from chart.collectors import Config, drawn
from support.programs import found

CONFIGS = drawn()


def scraping(folder: Path, configs: Iterable[Config]) -> subprocess.CompletedProcess[str]:
    """Let promtool read what the prometheus receivers of configurations are to scrape."""
    files: list[Path] = []
    for number, config in enumerate(configs):
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(yaml.safe_dump(config["receivers"]["prometheus"]["config"]))
    command = [found(prometheus.find).promtool, "check", "config", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_there_are_configurations_of_workers_and_of_routers() -> None:
    jobs = [
        sorted(each["job_name"] for each in config["receivers"]["prometheus"]["config"]["scrape_configs"])
        for config in CONFIGS.values()
    ]
    assert ["model", "reverse-proxy"] in jobs
    assert ["router"] in jobs


def test_what_a_collector_scrapes_is_what_prometheus_takes(tmp_path: Path) -> None:
    done = scraping(tmp_path, CONFIGS.values())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(CONFIGS)


def wrong_key(scrape: dict[str, Any]) -> None:
    scrape["scrape_configs"][0]["metric_path"] = "/metrics"


def wrong_interval(scrape: dict[str, Any]) -> None:
    scrape["global"]["scrape_interval"] = "15"


def same_job_twice(scrape: dict[str, Any]) -> None:
    scrape["scrape_configs"] *= 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (wrong_key, "field metric_path not found"),
        (wrong_interval, "not a valid duration string"),
        (same_job_twice, "multiple scrape configs with job name"),
    ],
)
def test_what_prometheus_would_refuse_is_refused(
    spoil: Callable[[dict[str, Any]], None], says: str, tmp_path: Path
) -> None:
    config = yaml.safe_load(yaml.safe_dump(next(iter(CONFIGS.values()))))
    spoil(config["receivers"]["prometheus"]["config"])
    done = scraping(tmp_path, [config])
    assert done.returncode == 1
    assert says in done.stdout + done.stderr
