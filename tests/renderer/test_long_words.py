"""No message echoes more of a manifest than a terminal can carry."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from dpd.checks import check_file
from dpd.contract import Contract
from dpd.document import walk
from support.paths import CASES

Said = Callable[[dict[str, Any]], list[str]]
ACCEPTED = sorted(CASES.glob("accept/*/endpoint.yaml"))
LONGEST = 700
WORDS = [
    "x" * 5000,
    "9" * 5000,
    10**4000,
    "--x=" + "y" * 5000,
    "0." + "9" * 5000,
    "a\n" * 2000,
    "$(" + "z" * 5000 + ")",
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: str(word)[:5])
@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.parent.name)
def test_no_long_value_makes_a_long_message(case: Any, word: Any, contract: Contract) -> None:
    document = yaml.safe_load(case.read_text(encoding="utf-8"))
    leaves = [path for path, value in walk(document) if isinstance(value, str | int)]
    long = [text for path in leaves for text in _said(_with(document, path, word), contract) if len(text) > LONGEST]
    assert long == []


def test_long_keys_tags_and_aliases_make_no_long_message(contract: Contract) -> None:
    word = "k" * 3000
    for text in ("{}: 1", "spec: {{{}: 1}}", "a: *{}", "a: !{} b", "kind: {}", "a: &{0} [*{0}]"):
        said = _said(text.format(word), contract)
        assert said
        assert [each for each in said if len(each) > LONGEST] == []


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e400", "9" * 5000])
def test_a_number_that_cannot_be_carried_is_told_once(number: str, manifest: Any, contract: Contract) -> None:
    text = manifest({"spec.pdSpec.routingThreshold": "HERE"}).replace("HERE", number)
    (found,) = _said(text, contract)
    assert found.startswith("spec.pdSpec.routingThreshold: ")
    assert found.endswith(" is a number JSON cannot carry; write a finite number, or put it in quotes")


def test_a_number_that_cannot_be_carried_where_a_word_belongs_is_told_once(manifest: Any, contract: Contract) -> None:
    text = manifest({"spec.worker.args": ["HERE", "--tensor-parallel-size", "7"]}).replace("HERE", ".inf")
    (found,) = _said(text, contract)
    assert found.startswith("spec.worker.args[0]: .inf is a number JSON cannot carry")


@pytest.mark.parametrize("value", ["nan", "75%", "1e400", "-0.5", "0", "1.01", "", "inf", "0,75"])
def test_a_share_of_gpu_memory_that_stops_the_engine_is_refused(value: str, said: Said) -> None:
    for changes in ({}, {"spec.pdSpec": None}):
        assert said({"spec.worker.args": ["-tp", "8", f"--gpu-memory-utilization={value}"], **changes})[0] == (
            f'spec.worker.args[2]: --gpu-memory-utilization is "{value}", at which the engine stops; '
            "write a number above 0 and up to 1, as in 0.75"
        )


@pytest.mark.parametrize("value", ["0.5", ".5", "5e-1", "$(SHARE)"])
def test_a_share_of_gpu_memory_that_is_one_or_is_told_later_is_silent(value: str, said: Said) -> None:
    assert said({"spec.worker.args": ["-tp", "8", f"--gpu-memory-utilization={value}"]}) == []


@pytest.mark.parametrize("amount", ["9" * 90, "9999E", "1e99", 2**63])
def test_an_amount_beyond_counting_is_refused(amount: Any, said: Said) -> None:
    resources = {"limits": {"memory": amount, "nvidia.com/gpu": 8}}
    found = said({"spec.pdSpec.prefillSpec.resources": resources})
    assert len(found) == 1
    assert found[0].startswith("spec.pdSpec.prefillSpec.resources.limits.memory: ")
    assert found[0].endswith(" is longer or larger than Kubernetes can count; write less, as in 64Gi")


def _said(text: str, contract: Contract) -> list[str]:
    return [each.text for each in check_file(text.encode(), contract).problems]


def _with(document: Any, path: Any, word: Any) -> str:
    changed = copy.deepcopy(document)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = word
    return yaml.dump(changed, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
