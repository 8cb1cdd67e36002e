"""The dashboard as the chart draws it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chart.helm import manifests, template
from dpd_local.manifests import Manifests
from dpd_local.observing import dashboard
from grafana.provision import PROGRAM
from observe.rules import EIGHT, NIXL, PAGE, RULES, table
from support.paths import CASES

DASHBOARD = ("--set", "monitoring.dashboard.enabled=true")


def drawn(values: Path = PAGE, *flags: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(dashboard(Manifests(template("helm", values, *DASHBOARD, *flags))))
    return loaded


def titles(board: dict[str, Any], kind: str) -> list[str]:
    return [each["title"] for each in board["panels"] if each["type"] == kind]


def test_it_has_a_row_for_the_eight_the_ledger_the_decisions_and_each_role() -> None:
    board = drawn()
    keys = {row["title"]: row["key"] for row in table("rows")}
    assert [keys[title] for title in titles(board, "row")] == [
        "eight",
        "ledger",
        "decisions",
        "prefill",
        "decode",
        "router",
    ]
    assert titles(board, "timeseries")[:8] == EIGHT


def test_an_endpoint_without_roles_has_a_row_of_workers_and_what_a_router_would_tell() -> None:
    colocated = CASES / "accept" / "kvaware-colocated" / "values.yaml"
    assert "Workers" in titles(drawn(colocated), "row")
    assert "Prefillers" not in titles(drawn(colocated), "row")
    assert "Prefill TTFT" not in titles(drawn(colocated), "timeseries")


def test_vllms_connector_has_no_ledger_and_the_eight_all_the_same() -> None:
    board = drawn(PAGE, *NIXL)
    assert "Ledger of the decoders' buffers" not in titles(board, "row")
    assert "KV Transfer Time" in titles(board, "timeseries")[:8]


def test_no_two_panels_overlap_and_each_has_a_number_of_its_own() -> None:
    panels = drawn()["panels"]
    taken = [
        (x, y)
        for place in (each["gridPos"] for each in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(x < 24 for x, _ in taken)
    assert [each["id"] for each in panels] == list(range(1, len(panels) + 1))


@pytest.mark.parametrize("flags", [(), RULES], ids=["without rules", "with rules"])
def test_every_query_is_of_this_endpoint_and_the_data_source_is_chosen_in_grafana(flags: tuple[str, ...]) -> None:
    board = drawn(PAGE, *flags)
    targets = [each for panel in board["panels"] for each in panel.get("targets", [])]
    assert all('namespace="default",resource_name="dpd-test"' in each["expr"] for each in targets)
    assert {each["datasource"]["uid"] for each in targets} == {"${datasource}"}
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource"]


def differences(drawn: Any, kept: Any, place: str = "") -> list[str]:
    """Where two trees differ, `?` before what only the second has; what is empty in the first may be left out."""
    if isinstance(drawn, dict) and isinstance(kept, dict):
        lost = [f"{place}.{key}" for key in drawn.keys() - kept.keys() if drawn[key] not in ({}, [])]
        more = [f"?{place}.{key}" for key in kept.keys() - drawn.keys()]
        both = [
            each for key in drawn.keys() & kept.keys() for each in differences(drawn[key], kept[key], f"{place}.{key}")
        ]
        return [*lost, *more, *both]
    if isinstance(drawn, list) and isinstance(kept, list) and len(drawn) == len(kept):
        return [each for pair in zip(drawn, kept, strict=True) for each in differences(*pair, f"{place}[]")]
    return [] if drawn == kept else [f"{place}: {kept}"]


def as_grafana_has_it(board: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    assert PROGRAM.exists(), "there is nothing that knows Grafana's types: `make grafana` builds it"
    return subprocess.run([PROGRAM], input=json.dumps(board), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flags", [(), RULES, NIXL], ids=["page", "with rules", "nixl"])
def test_grafanas_own_types_know_every_key_and_miss_none(flags: tuple[str, ...]) -> None:
    board = drawn(PAGE, *flags)
    kept = as_grafana_has_it(board)
    assert kept.returncode == 0, kept.stderr
    assert differences(board, json.loads(kept.stdout)) == []


def test_what_is_no_dashboard_of_grafanas_is_seen() -> None:
    board = drawn()
    panel = board["panels"][1]
    del panel["targets"][0]["expr"]
    panel["fieldConfig"]["defaults"]["units"] = panel["fieldConfig"]["defaults"].pop("unit")
    seen = differences(board, json.loads(as_grafana_has_it(board).stdout))
    assert sorted(seen) == [".panels[].fieldConfig.defaults.units", "?.panels[].targets[].expr"]
    panel["gridPos"]["w"] = 25
    assert "gridPos.w: must be <= 24" in as_grafana_has_it(board).stderr


def test_two_endpoints_never_share_a_dashboard_or_its_file() -> None:
    other = ("--set", "namespaceOverride=other")
    assert drawn()["uid"] != drawn(PAGE, *other)["uid"]

    def files(*flags: str) -> set[str]:
        objects = manifests(template("helm", PAGE, *DASHBOARD, *flags))
        (board,) = [each for each in objects if each["metadata"]["name"].endswith("-dashboard")]
        return set(board["data"])

    assert files().isdisjoint(files(*other))
