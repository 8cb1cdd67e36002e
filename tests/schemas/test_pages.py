"""The reference pages: every field once, with what the contract says about it."""

import re
from typing import Any

from support.paths import ROOT

ENDPOINT = (ROOT / "docs/reference/endpoint.md").read_text(encoding="utf-8")
VALUES = (ROOT / "docs/reference/values.md").read_text(encoding="utf-8")


def rows(page: str) -> list[tuple[str, list[str]]]:
    """Return section and cells of every table row but the heads."""
    found, section = [], ""
    for line in page.splitlines():
        section = line.removeprefix("## ") if line.startswith("## ") else section
        if line.startswith("| `"):
            found.append((section, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]))
    return found


def test_the_endpoint_page_has_a_row_for_every_field_of_every_object(contract: Any) -> None:
    shown = {(section, cells[0].split("`")[1]) for section, cells in rows(ENDPOINT)}
    expected = {
        (name, field)
        for name, schema in contract["definitions"].items()
        if not name.startswith("io.k8s.")
        for field in schema.get("properties", {})
    }
    assert expected <= shown
    assert {section for section, _ in shown - expected} == {"Document"}


def test_a_row_says_type_default_constraint_and_version() -> None:
    table = {(section, cells[0]): cells[1:] for section, cells in rows(ENDPOINT)}
    assert table["PdSpec", "`routingThreshold`"] == [
        "integer",
        "`4096`",
        "at least 0",
        "Prompt tokens from which a request goes through a prefiller; 0 sends every request.",
        "v1",
    ]
    assert table["LoadBalancer", "`idleTimeoutSeconds`"][1:3] == ["`60`", "1 to 4000"]
    assert table["LoadBalancer", "`idleTimeoutSeconds`"][4] == "3.3"
    assert table["Worker", "`environmentVariables`"][0] == "list of k8s EnvVar"
    assert table["Worker", "`environmentVariables`"][2] == "unique by `name`"
    assert table["Worker", "`resources` *"][0] == "k8s ResourceRequirements"
    assert table["RoleSpec", "`nodeSelector`"][0] == "map of string"
    assert table["Spec", "`pdSpec`"][0] == "[PdSpec](#pdspec)"


def test_every_row_has_as_many_cells_as_its_head() -> None:
    assert {len(cells) for _, cells in rows(ENDPOINT)} == {6}
    assert {len(cells) for _, cells in rows(VALUES)} == {5}


def test_every_link_leads_to_a_heading() -> None:
    for page in (ENDPOINT, VALUES):
        headings = {line.removeprefix("## ").lower() for line in page.splitlines() if line.startswith("## ")}
        assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", page)) <= headings
    assert "](endpoint.md#spec)" in VALUES
    assert "\n## Spec\n" in ENDPOINT


def test_the_values_page_has_the_charts_keys_and_not_the_contracts(values_schema: Any, contract: Any) -> None:
    shown = {cells[0].split("`")[1] for section, cells in rows(VALUES) if section == "Chart keys"}
    assert shown == set(values_schema["properties"]) - set(contract["definitions"]["Spec"]["properties"]) - {"global"}
