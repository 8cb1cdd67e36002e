"""The generated CustomResourceDefinition, asked by a real API server: it takes and refuses what the contract does."""

import re
from typing import Any

import pytest
import yaml

from e2e.admission import Admission
from schemas.test_documents import TABLE, changed

pytestmark = pytest.mark.slow

ACCEPTED = [row for row in TABLE["accept"] if row["at"].startswith("spec.")]
REFUSED = [row for row in TABLE["refuse"] if row["at"].startswith("spec.")]


def stream(rows: list[dict[str, Any]]) -> str:
    """Return one document per row, named after its place in the list."""
    documents = [changed(row) for row in rows]
    for index, document in enumerate(documents):
        document["metadata"]["name"] = f"row-{index}"
    return yaml.safe_dump_all(documents)


def test_the_api_server_takes_every_spec_that_the_contract_takes(admission: Admission) -> None:
    assert admission.refusals(stream(ACCEPTED), "--server-side") == []


def test_the_api_server_refuses_every_spec_that_the_contract_refuses(admission: Admission) -> None:
    done = admission.apply(stream(REFUSED), "--server-side")
    taken = [REFUSED[int(each)] for each in re.findall(r"row-(\d+) serverside-applied", done.stdout)]
    assert taken == []
    assert len(done.stderr.splitlines()) >= len(REFUSED)
