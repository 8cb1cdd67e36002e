import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpd import rules
from dpd.contract import Contract
from dpd.endpoint import endpoint_of
from dpd.reader import read
from support.paths import CASES

ACCEPTED = sorted(path.parent for path in (CASES / "accept").glob("*/endpoint.yaml"))
REJECTED = sorted(path.parent for path in (CASES / "reject").glob("*/endpoint.yaml"))
UPDATE = os.environ.get("UPDATE_GOLDENS") == "1"


def golden(path: Path, text: str) -> str:
    if UPDATE and text:
        path.write_text(text, encoding="utf-8")
    elif UPDATE:
        path.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def shown(case: Path) -> str:
    return f"tests/cases/{case.parent.name}/{case.name}/endpoint.yaml"


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_a_rejected_manifest_gets_the_problems_of_its_golden(case: Path, dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", shown(case))
    assert ran.code == 1
    assert ran.err == golden(case / "problems.txt", ran.err)
    assert ran.out == ""


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_a_rejected_manifest_renders_nothing(case: Path, dpd: Callable[..., Any], tmp_path: Path) -> None:
    ran = dpd("render", shown(case), "-o", tmp_path / "values.yaml")
    assert ran.code == 1
    assert list(tmp_path.iterdir()) == []


def test_all_rejected_manifests_in_one_call_print_every_golden(dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", *(shown(case) for case in REJECTED))
    assert ran.code == 1
    assert ran.err == "".join((case / "problems.txt").read_text(encoding="utf-8") for case in REJECTED)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_an_accepted_manifest_renders_the_values_of_its_golden(case: Path, dpd: Callable[..., Any]) -> None:
    ran = dpd("render", shown(case))
    assert ran.code == 0
    assert ran.out == golden(case / "values.yaml", ran.out)
    assert ran.err == golden(case / "problems.txt", ran.err)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_an_accepted_manifest_has_only_warnings(case: Path, dpd: Callable[..., Any]) -> None:
    ran = dpd("validate", shown(case))
    assert ran.code == 0
    assert all(line.startswith("warning: ") for line in ran.err.splitlines())
    assert ran.out == f"{shown(case)}: 1 endpoint, valid\n"


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_the_values_of_a_case_satisfy_the_charts_schema(case: Path, values_validator: Any) -> None:
    values = yaml.safe_load((case / "values.yaml").read_text(encoding="utf-8"))
    assert [each.message for each in values_validator.iter_errors(values)] == []


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_the_values_of_a_case_hold_its_spec_word_for_word(case: Path) -> None:
    (document,) = read((case / "endpoint.yaml").read_bytes()).documents
    values = yaml.safe_load((case / "values.yaml").read_text(encoding="utf-8"))
    spec = endpoint_of(document).spec
    assert {key: values[key] for key in spec} == spec
    own = {"nameOverride", "namespaceOverride", "instance", "transfer", "cache", "prefetch"}
    assert set(values) - set(spec) <= own


def test_there_are_enough_cases() -> None:
    assert len(REJECTED) >= 30
    assert len(ACCEPTED) >= 12


def test_every_rule_has_something_to_say_about_some_case(contract: Contract) -> None:
    silent = set(rules.RULES)
    for case in (*ACCEPTED, *REJECTED):
        for document in read((case / "endpoint.yaml").read_bytes()).documents:
            found = contract.problems(document)
            if not any(each.path in ((), ("kind",), ("apiVersion",)) for each in found):
                endpoint = endpoint_of(document, (each.path for each in found))
                silent -= {rule for rule in silent if list(rule(endpoint))}
    assert sorted(f"{rule.__module__}.{rule.__name__}" for rule in silent) == []
