"""The collector configurations that the chart draws, as tests/cases has them in its goldens."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from chart.helm import manifests, named, of_kind, pod_spec
from support.paths import CASES

Config = dict[str, Any]


def drawn() -> Iterator[tuple[str, Config, set[str]]]:
    """Yield every collector's configuration, where it is from, and the variables that its container has."""
    for case in sorted(CASES.glob("accept/*/manifests.yaml")):
        documents = manifests(case.read_text())
        for deployment in of_kind(documents, "Deployment"):
            spec = pod_spec(deployment)
            for container in spec["containers"]:
                if container["name"] != "otel-collector":
                    continue
                (mount,) = container["volumeMounts"]
                (volume,) = [each for each in spec["volumes"] if each["name"] == mount["name"]]
                held = named(documents, "ConfigMap", volume["configMap"]["name"])
                (config,) = manifests(held["data"]["config.yaml"])
                name = f"{case.parent.name}/{deployment['metadata']['name']}"
                yield name, copy.deepcopy(dict(config)), {each["name"] for each in container["env"]}


def scraped(config: Config) -> Config:
    """Return what the prometheus receiver of a configuration is to scrape, as Prometheus would have it."""
    found: Config = config["receivers"]["prometheus"]["config"]
    return found


def variables(config: Config) -> set[str]:
    """Return the variables of its environment that a configuration asks for."""
    return set(re.findall(r"\$\{env:(\w+)\}", str(config)))
