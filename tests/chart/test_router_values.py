"""The values of the router's times, health, ejection and fallback: it reads them, within the bounds of the schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import RefusedError, manifests, named, template
from dpd_router.config.load import Config, from_document
from support.paths import CHART, ROOT

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"
SECTIONS = {
    "timeouts": "RouterTimeouts",
    "health": "RouterHealth",
    "ejection": "RouterEjection",
    "fallback": "RouterFallback",
}


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Section, key and schema of each setting."""
    definitions = yaml.safe_load((ROOT / "schemas" / "values.schema.yaml").read_text())["$defs"]
    for section, name in SECTIONS.items():
        for key, schema in definitions[name]["properties"].items():
            yield section, key, schema


def bounds(edge: str) -> dict[str, Any]:
    """The router's values with every setting at its `minimum` or its `maximum`."""
    router: dict[str, Any] = {section: {} for section in SECTIONS}
    for section, key, schema in fields():
        router[section][key] = schema[edge]
    return router


def read(tmp_path: Path, router: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Config, dict[str, Any]]:
    """The router's configuration as it reads it, and its file."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")  # as in any pod
    values = tmp_path / "router.yaml"
    values.write_text(yaml.safe_dump({"router": router}))
    documents = manifests(template("helm", PAGE, "--values", str(values)))
    file = yaml.safe_load(named(documents, "ConfigMap", "dpd-test-default-router")["data"]["config.yaml"])
    return from_document(file), file


def test_the_router_reads_what_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    router = {
        "timeouts": {
            "firstByteSeconds": 7,
            "answerSeconds": 8,
            "streamIdleSeconds": 9,
            "leaveSeconds": 2,
            "prefillSeconds": 6,
        },
        "health": {"intervalSeconds": 0.5, "tolerance": 3},
        "ejection": {"failures": 4, "sharePercent": 25},
        "fallback": {"perDecoder": 3, "queue": 5, "waitSeconds": 1},
    }
    config, _ = read(tmp_path, router, monkeypatch)
    deadlines = config.timing.deadlines
    assert (deadlines.first_byte, deadlines.answer, deadlines.idle, config.timing.leave) == (7, 8, 9, 2)
    assert (config.policy.prefill_seconds, config.timing.grace) == (6, 280)
    checks, ejection = config.standing.checks, config.standing.ejection
    assert (checks.path, checks.interval, checks.tolerance) == ("/health", 0.5, 3)
    assert (ejection.failures, ejection.share) == (4, 0.25)
    assert (config.standing.fallbacks, config.standing.fallback_queue, config.standing.fallback_seconds) == (3, 5, 1)


@pytest.mark.parametrize("edge", ["minimum", "maximum"])
def test_the_router_takes_what_the_schema_takes(edge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    router = bounds(edge)
    _, file = read(tmp_path, router, monkeypatch)  # raises where the router refuses
    for section, told in router.items():
        assert told.items() <= file[section].items()


def test_what_is_beyond_the_bounds_and_what_is_no_setting_is_refused() -> None:
    with pytest.raises(RefusedError, match="perDecoder"):
        template("helm", PAGE, "--set", "router.fallback.perDecoder=100001")
    with pytest.raises(RefusedError, match="graceSeconds"):
        template("helm", PAGE, "--set", "router.timeouts.graceSeconds=1")
