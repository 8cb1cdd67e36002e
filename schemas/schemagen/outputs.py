"""Last stop: which generated file holds what, as text; and which of them are not what they should be."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemagen.bundle import contract_bundle, values_bundle
from schemagen.sources import Sources


def outputs(sources: Sources) -> dict[str, str]:
    """Return every generated file: path relative to the repository, and content."""
    return {
        "charts/dpd/values.schema.json": as_json(values_bundle(sources)),
        "renderer/src/dpd/contract.schema.json": as_json(contract_bundle(sources)),
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
