"""Last stop: which generated file holds what, as text; and which of them are not what they should be."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from schemagen.bundle import contract_bundle, values_bundle
from schemagen.crd import custom_resource_definition
from schemagen.editor import EDITOR_FILE, editor_schema, said
from schemagen.ledger import fields, warnings
from schemagen.ledger_page import contract_page
from schemagen.metrics_page import metrics_page
from schemagen.pages import endpoint_page, values_page
from schemagen.present import present
from schemagen.sources import Sources


def outputs(sources: Sources) -> dict[str, str]:
    """Return every generated file: path relative to the repository, and content."""
    return {
        "charts/dpd-operator/crds/inferenceendpointconfigs.yaml": as_yaml(custom_resource_definition(sources)),
        "charts/dpd/files/ledger.json": as_json(warnings(fields(sources))),
        "charts/dpd/files/monitoring.json": as_json(sources.monitoring),
        "charts/dpd/files/present.json": as_json(present(sources.defaults)),
        "charts/dpd/values.schema.json": as_json(values_bundle(sources)),
        "docs/contract.md": contract_page(sources),
        "docs/reference/endpoint.md": endpoint_page(sources),
        EDITOR_FILE: as_json(editor_schema(sources)),
        "docs/reference/metrics.md": metrics_page(sources),
        "docs/reference/values.md": values_page(sources),
        "renderer/src/dpd/contract.schema.json": as_json(contract_bundle(sources)),
        "renderer/src/dpd/fields.json": as_json(said(sources)),
        "renderer/src/dpd/ledger.json": as_json(warnings(fields(sources))),
    }


def stale(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return one problem for each of `files` that under `root` is missing or different."""
    problems = []
    for name, content in files.items():
        path = root / name
        if not path.is_file():
            problems.append(f"{name}: missing; run `make generate` and commit it")
        elif path.read_text(encoding="utf-8") != content:
            problems.append(f"{name}: stale, differs from what schemas/ gives; run `make generate` and commit it")
    return problems


def as_json(content: Any) -> str:
    """Return `content` as JSON text: sorted, indented, with a trailing newline."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def as_yaml(content: Any) -> str:
    """Return `content` as YAML text: sorted, without aliases, with a leading remark and a trailing newline."""
    text: str = yaml.dump(content, Dumper=_Plain, sort_keys=True, width=120, allow_unicode=True)
    return f"# Generated from schemas/ by `make generate`; do not edit.\n{text}"


class _Plain(yaml.SafeDumper):
    """Writes a part that occurs twice twice, rather than as an alias of the first."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Say so of everything."""
        return True
