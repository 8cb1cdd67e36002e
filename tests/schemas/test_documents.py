"""Whole documents against the contract, and their specs against the values: the rows of documents.yaml."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

TABLE = yaml.safe_load((Path(__file__).parent / "documents.yaml").read_text(encoding="utf-8"))


def changed(row: dict[str, Any]) -> Any:
    """Return the base document with the row's one change."""
    document = copy.deepcopy(TABLE["base"])
    *parents, last = row["at"].split(".")
    place = document
    for step in parents:
        place = place[step]
    if row.get("drop"):
        del place[last]
    else:
        place[last] = row["put"]
    return document


def problems(schema: Any, document: Any) -> list[tuple[str, str]]:
    """Return path and message of every problem, paths written as `spec.tags[0]`."""
    errors = Draft7Validator(schema).iter_errors(document)
    return [
        (error.json_path.removeprefix("$").removeprefix(".").replace("['", ".").replace("']", ""), error.message)
        for error in errors
    ]


def test_the_base_document_is_accepted(contract: Any) -> None:
    assert problems(contract, TABLE["base"]) == []


@pytest.mark.parametrize("row", TABLE["accept"], ids=lambda row: row["name"])
def test_the_contract_accepts(row: dict[str, Any], contract: Any, values_schema: Any) -> None:
    document = changed(row)
    assert problems(contract, document) == []
    assert problems(values_schema, document["spec"]) == []


@pytest.mark.parametrize("row", TABLE["refuse"], ids=lambda row: f"{row['at']} {row.get('put', 'dropped')}")
def test_the_contract_refuses_and_names_the_path(row: dict[str, Any], contract: Any) -> None:
    found = problems(contract, changed(row))
    assert [path for path, _ in found] == [row["path"]]
    assert row["says"] in found[0][1]


@pytest.mark.parametrize(
    "row",
    [row for row in TABLE["refuse"] if row["at"].startswith("spec.")],
    ids=lambda row: f"{row['at']} {row.get('put', 'dropped')}",
)
def test_the_values_refuse_the_same_at_the_same_path(row: dict[str, Any], values_schema: Any) -> None:
    found = problems(values_schema, changed(row)["spec"])
    assert [path for path, _ in found] == [row["path"].removeprefix("spec").removeprefix(".")]
    assert row["says"] in found[0][1]


def test_the_table_is_not_small() -> None:
    assert len(TABLE["accept"]) > 25
    assert len(TABLE["refuse"]) > 50
