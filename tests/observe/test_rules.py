"""Recording rules and alerts, read and run by promtool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import manifests, of_kind, shape_name, template
from dpd_router.types import Reason
from observe.rules import NIXL, PAGE, RULES, TLS, groups, promtool, rules, table
from support.paths import CASES as ACCEPTED
from support.paths import CHART, ROOT

ALERTS = [each["alert"] for each in table("alerts")]
CASES = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())
EIGHT = [
    "dpd:e2e_ttft_seconds",
    "dpd:prefill_ttft_seconds",
    "dpd:prefill_queue",
    "dpd:decode_queue",
    "dpd:prefill_seconds",
    "dpd:decode_tpot_seconds",
    "dpd:kv_transfer_seconds",
    "dpd:routed_requests",
]


def test_promtool_takes_the_rules_of_every_kind_of_endpoint(tmp_path: Path) -> None:
    files = []
    for values in [
        *CHART.glob("ci/**/*-values.yaml"),
        *(ACCEPTED / "accept" / each / "values.yaml" for each in ("nixl", "kvaware-colocated")),
    ]:
        drawn = of_kind(manifests(template("helm", values, *RULES)), "PrometheusRule")
        metrics = (yaml.safe_load(values.read_text()).get("metrics") or {}).get("enabled", True)
        assert len(drawn) == int(metrics), shape_name(values)
        for each in drawn:
            files.append(tmp_path / f"{shape_name(values)}.yaml")
            files[-1].write_text(yaml.safe_dump(each["spec"]))
            assert "$" not in "".join(rule["expr"] for group in each["spec"]["groups"] for rule in group["rules"])
    done = promtool("check", "rules", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files) > 7


def test_the_eight_metrics_of_the_page_are_recorded_with_either_connector() -> None:
    for flags in ((), NIXL):
        recorded = list(dict.fromkeys(each["record"] for each in rules(PAGE, *flags) if "record" in each))
        assert recorded[:8] == EIGHT


def test_what_moves_the_cache_decides_what_is_measured() -> None:
    def measured(*flags: str) -> str:
        return str(
            next(each["expr"] for each in rules(PAGE, *flags) if each.get("record") == "dpd:kv_transfer_seconds")
        )

    assert "lmcache:store_put_time" in measured()
    assert "vllm:nixl_xfer_time" in measured(*NIXL)


def test_rates_look_back_over_four_scrapes_at_least() -> None:
    def windows(*flags: str) -> set[str]:
        return {part.split("]")[0] for each in rules(PAGE, *flags) for part in each["expr"].split("[")[1:]}

    assert windows() == {"300s"}
    assert windows("--set", "metrics.metricsScrapeIntervalSeconds=300") == {"1200s"}
    assert windows("--set", "monitoring.window=2m") == {"2m"}


def test_every_reason_that_counts_as_a_fallback_is_one_of_the_routers() -> None:
    assert set(table("fallbacks")) <= {each.value for each in Reason}
    assert Reason.THRESHOLD.value not in table("fallbacks")


def test_every_alert_has_a_section_in_the_runbook_that_its_annotation_leads_to() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text()
    sections = {line.removeprefix("### ").lower() for line in runbook.splitlines() if line.startswith("### ")}
    links = {each["alert"]: each["annotations"]["runbook_url"] for each in rules(PAGE, *TLS) if "alert" in each}
    assert list(links) == ALERTS
    for alert, link in links.items():
        page, _, anchor = link.partition("#")
        assert (ROOT / page).exists()
        assert anchor in sections, f"docs/operations.md has no section for {alert}"


def test_an_alert_refers_to_the_page_where_it_is_served() -> None:
    flags = ("--set", "monitoring.rules.runbooks=https://wiki.example.com/dpd")
    links = [each["annotations"]["runbook_url"] for each in rules(PAGE, *flags) if "alert" in each]
    assert links[0] == "https://wiki.example.com/dpd#dpdbuffernearfull"


def test_there_is_a_case_for_every_alert() -> None:
    assert {each["alert"] for each in CASES} == set(ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['alert']}: {case['when']}")
def test_an_alert_fires_when_it_should_and_only_then(case: dict[str, Any], tmp_path: Path) -> None:
    flags = [flag for each in case.get("set", []) for flag in ("--set", each)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups(PAGE, *TLS, *flags)}))
    endpoint = 'namespace="default",resource_name="dpd-test"'
    fires = [
        {"exp_labels": {"namespace": "default", "resource_name": "dpd-test", **each}} for each in case.get("fires", [])
    ]
    alerts = [each for each in rules(PAGE, *TLS, *flags) if each.get("alert") == case["alert"]]
    for each in fires:
        each["exp_labels"]["severity"] = alerts[0]["labels"]["severity"]
        each["exp_annotations"] = {**alerts[0]["annotations"], "summary": case["summary"]}
    series = [{"series": name.replace("$", endpoint), "values": values} for name, values in case["series"].items()]
    test = {"interval": "15s", "input_series": series}
    test["alert_rule_test"] = [{"eval_time": case["at"], "alertname": case["alert"], "exp_alerts": fires}]
    unit = {"rule_files": ["rules.yaml"], "evaluation_interval": "15s", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(unit))
    done = promtool("test", "rules", tmp_path / "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
