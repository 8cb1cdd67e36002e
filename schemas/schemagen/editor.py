"""The ledger where people write: in an editor's completion (a JSON schema of its own) and in `dpd explain`."""

from copy import deepcopy
from typing import Any

from schemagen.bundle import contract_bundle
from schemagen.ledger import Field, fields
from schemagen.ledger_page import source_file
from schemagen.sources import Schema, Sources

EDITOR_FILE = "docs/reference/inferenceendpointconfig.schema.json"


def said(sources: Sources) -> dict[str, dict[str, Any]]:
    """Return what the ledger says of each field, by its name such as `Worker.image`.

    does and where (files from the repository's root), or warning and remedy, with the values that need no warning.
    """
    return {each.name: _row(each) for each in fields(sources) if each.row}


def editor_schema(sources: Sources) -> Schema:
    """Return the contract's schema with what a field does here in its description, for editors show nothing else."""
    schema = deepcopy(contract_bundle(sources))
    for name, row in said(sources).items():
        owner, _, field = name.partition(".")
        described = schema["definitions"][owner]["properties"][field]
        text = [described.get("description", ""), row.get("does", ""), _sentence(row)]
        described["description"] = " ".join(each for each in text if each)
    return schema


def _row(field: Field) -> dict[str, Any]:
    row = field.row or {}
    found: dict[str, Any] = {key: row[key] for key in ("does", "remedy", "unless") if key in row}
    if "where" in row:
        where = row["where"]
        found["where"] = [source_file(each) for each in ([where] if type(where) is str else where)]
    if field.warning:
        found["warning"] = field.warning
    return found


def _sentence(row: dict[str, Any]) -> str:
    if "warning" not in row:
        return ""
    remedy = f"; {row['remedy']}" if "remedy" in row else ""
    return f"{row['warning'][0].upper()}{row['warning'][1:]}{remedy}."
