"""The collector configurations that the chart draws: those of the goldens in tests/cases, and one with traces."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chart.helm import Manifest, manifests, named, of_kind, pod_spec, template
from support.paths import CASES, CHART

Config = dict[str, Any]


TRACED = {
    "otlphttp": {"endpoint": "http://127.0.0.1:9", "headers": {"authorization": "${env:TOKEN}"}},
    "debug": {"verbosity": "basic"},
}


def drawn() -> Iterator[tuple[str, Config, set[str]]]:
    """Yield every collector's configuration, where it is from, and the variables that its container has."""
    for case in sorted(CASES.glob("accept/*/manifests.yaml")):
        yield from _drawn(case.parent.name, manifests(case.read_text()))
    yield from _drawn("traced", traced(TRACED))


def traced(exporters: Mapping[str, Any]) -> list[Manifest]:
    """Return what the chart draws of the page's endpoint with traces of all requests, sent on to `exporters`."""
    tracing = {"enabled": True, "ratio": 1, "exporters": exporters, "existingSecret": "token"}
    flag = f"router.tracing={json.dumps(tracing)}"
    return manifests(template("helm", CHART / "ci" / "shapes" / "dpd-values.yaml", "--set-json", flag))


def _drawn(name: str, documents: list[Manifest]) -> Iterator[tuple[str, Config, set[str]]]:
    for deployment in of_kind(documents, "Deployment"):
        spec = pod_spec(deployment)
        for container in spec["containers"]:
            if container["name"] == "otel-collector":
                config = mounted(documents, spec, container)
                has = {each["name"] for each in container["env"]}
                # The Secret that the values name is the user's, and so is what is in it.
                has |= {"TOKEN"} if container.get("envFrom") == [{"secretRef": {"name": "token"}}] else set()
                yield f"{name}/{deployment['metadata']['name']}", config, has


def mounted(documents: list[Manifest], spec: Any, container: Any) -> Config:
    """Return the configuration that a collector's container finds."""
    (mount,) = container["volumeMounts"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == mount["name"]]
    held = named(documents, "ConfigMap", volume["configMap"]["name"])
    (config,) = manifests(held["data"]["config.yaml"])
    return copy.deepcopy(dict(config))


def scraped(config: Config) -> Config:
    """Return what the prometheus receiver of a configuration is to scrape, as Prometheus would have it."""
    found: Config = config["receivers"]["prometheus"]["config"]
    return found


def variables(config: Config) -> set[str]:
    """Return the variables of its environment that a configuration asks for."""
    return set(re.findall(r"\$\{env:(\w+)\}", str(config)))
