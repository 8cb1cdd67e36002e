"""The picture of the dashboard: how it is drawn, and that the committed one is of the dashboard as it is."""

import json
from xml.etree import ElementTree

import pytest

from chart.helm import template
from dpd_local.manifests import Manifests
from dpd_local.observing import dashboard
from dpd_local.picture import legend
from dpd_local.svg import Panel, ceiling, picture, spoken
from observe.rules import PAGE
from support.paths import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_committed_picture_is_of_the_dashboards_panels_in_their_order() -> None:
    board = json.loads(dashboard(Manifests(template("helm", PAGE, "--set", "monitoring.dashboard.enabled=true"))))
    titles = [each["title"] for each in board["panels"]]
    drawn = [text for text in texts((ROOT / "docs" / "dashboard.svg").read_text()) if text in titles]
    assert drawn == titles, "docs/dashboard.svg: not of this dashboard; run `make picture` and look at it"


def test_a_line_goes_where_its_values_are() -> None:
    panel = Panel("a <title>", "s", {"q0.5": [(10.0, 0.0), (20.0, 1.0)], "none": []})
    svg = picture("all", [("row", [panel])], (10.0, 20.0))
    lines = [each.get("points") or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}polyline")]
    (bottom, _, top, drawn, empty) = lines
    assert drawn == f"{bottom.split()[0]} {top.split()[1]}"
    assert empty == ""
    assert {"a <title>", "row", "all", "q0.5", "none", "1s", "0s"} <= set(texts(svg))


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.03, 0.05), (1, 1), (1.01, 2), (77, 100), (2e9, 2e9)])
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "percentunit", "25%"),
        (0.05, "s", "50ms"),
        (2, "s", "2s"),
        (0, "s", "0s"),
        (5e9, "Bps", "5GB/s"),
        (0, "Bps", "0B/s"),
        (5000, "short", "5k"),
        (0.5, "reqps", "0.5/s"),
    ],
)
def test_an_axis_speaks_the_panels_unit(value: float, unit: str, text: str) -> None:
    assert spoken(value, unit) == text


def test_a_legend_is_filled_in_as_grafana_does() -> None:
    assert legend("{{path}} q{{quantile}} {{none}}", {"path": "direct", "quantile": "0.5"}) == "direct q0.5 "
