"""The rules that the chart draws for an endpoint, and promtool on them."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

import prometheus
from chart.helm import manifests, of_kind, template
from support.paths import CASES, ROOT
from support.programs import found as program

PAGE = CASES / "accept" / "dpd-page" / "values.yaml"
TABLE = ROOT / "schemas" / "monitoring.yaml"
RULES = ("--set", "monitoring.rules.enabled=true")
NIXL = ("--set", "transfer.connector=nixl", "--set", "kvCacheSpec=null")
TLS = ("--set", "router.tls.existingSecret=certificate")
EIGHT = [
    "E2E TTFT",
    "Prefill TTFT",
    "Prefill Queue",
    "Decode Queue",
    "Prefill Time",
    "Decode Latency",
    "KV Transfer Time",
    "DPD Routing Counts",
]
"""What HyperPod's own dashboard shows of DPD, word for word and in its order."""

Rule = dict[str, Any]


def table(name: str) -> list[Any]:
    """Return a part of the table that rules and dashboard are made from: rows, alerts or fallbacks."""
    found: list[Any] = yaml.safe_load(TABLE.read_text())[name]
    return found


def groups(values: Path = PAGE, *flags: str) -> list[dict[str, Any]]:
    """Return the groups of the PrometheusRule of these values."""
    (rule,) = of_kind(manifests(template("helm", values, *RULES, *flags)), "PrometheusRule")
    drawn: list[dict[str, Any]] = rule["spec"]["groups"]
    return drawn


def rules(values: Path = PAGE, *flags: str) -> list[Rule]:
    """Return all rules of these values."""
    return [rule for group in groups(values, *flags) for rule in group["rules"]]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    command = [program(prometheus.find).promtool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
