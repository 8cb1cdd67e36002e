"""The revision: equal on both roles, changed by what a transfer depends on, and by nothing else."""

from typing import Any

import pytest
import yaml

from chart.helm import manifests, role_of, template, workers
from support.paths import CHART

VALUES = CHART / "ci" / "shapes" / "dpd-values.yaml"
REVISION = "inference.sagemaker.aws.amazon.com/dpd-revision"


def labels(tmp_path, change: dict[str, Any]) -> dict[str, str | None]:
    """The revision of each role's pods when `change` is put over the values."""
    file = tmp_path / f"change-{len(list(tmp_path.iterdir()))}.yaml"  # what Helm says of a file is asked once
    file.write_text(yaml.safe_dump(change))
    rendered = manifests(template("helm", VALUES, "--values", str(file)))
    return {role_of(each): each["spec"]["template"]["metadata"]["labels"].get(REVISION) for each in workers(rendered)}


def merged(section: str, **change: Any) -> dict[str, Any]:
    given = yaml.safe_load(VALUES.read_text())["pdSpec"][section]
    return {"pdSpec": {section: {**given, **change}}}


def args_of(section: str) -> list[str]:
    return list(yaml.safe_load(VALUES.read_text())["pdSpec"][section].get("args") or [])


def test_both_roles_have_the_same(tmp_path):
    found = labels(tmp_path, {})
    assert set(found) == {"prefill", "decode"}
    assert len(set(found.values())) == 1
    assert all(found.values())


@pytest.mark.parametrize(
    "change",
    [
        {"worker": {"image": "other:1"}},
        {"worker": {"environmentVariables": [{"name": "PYTHONHASHSEED", "value": "1"}]}},
        {"modelSourceConfig": {"modelLocation": "other/model"}},
        {"transfer": {"fabric": "tcp"}},
    ],
    ids=str,
)
def test_what_a_transfer_depends_on_changes_it(tmp_path, change):
    assert labels(tmp_path, change)["decode"] != labels(tmp_path, {})["decode"]


@pytest.mark.parametrize("section", ["prefillSpec", "decodingSpec"])
def test_an_argument_of_one_role_that_may_change_the_cache_changes_it_for_both(tmp_path, section):
    changed = labels(tmp_path, merged(section, args=[*args_of(section), "--kv-cache-dtype", "fp8"]))
    assert changed["prefill"] == changed["decode"] != labels(tmp_path, {})["decode"]


@pytest.mark.parametrize(
    "change",
    [
        {"router": {"image": {"tag": "9.9.9"}, "replicas": 1, "discovery": "dns"}},
        {"proxy": {"image": {"tag": "other"}}},
        {"collector": {"image": {"tag": "other"}}},
        {"terminationGracePeriodSeconds": 60},
        merged("prefillSpec", replicas=7),
        merged("prefillSpec", args=[*args_of("prefillSpec"), "--max-num-seqs", "3"]),
        merged("decodingSpec", args=[*args_of("decodingSpec"), "--gpu-memory-utilization=0.5"]),
        {"cache": {"l1GiBPerRank": 3}},
        {"tags": [{"name": "team", "value": "b"}]},
    ],
    ids=str,
)
def test_what_no_transfer_depends_on_does_not(tmp_path, change):
    assert labels(tmp_path, change)["decode"] == labels(tmp_path, {})["decode"]


def test_colocated_workers_have_none(tmp_path):
    rendered = manifests(template("helm", CHART / "ci" / "shapes" / "colocated-values.yaml"))
    assert all(REVISION not in each["spec"]["template"]["metadata"]["labels"] for each in workers(rendered))
