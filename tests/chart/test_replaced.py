"""Which change of the values replaces which pods: only what a pod itself reads or runs."""

from typing import Any

import pytest
import yaml

from chart.helm import manifests, of_kind, role_of, template
from chart.test_revision import REVISION
from support.paths import CHART

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"
COLOCATED = CHART / "ci" / "shapes" / "colocated-values.yaml"
WORKERS = {"prefill", "decode"}
IDLE = {"loadBalancer": {"idleTimeoutSeconds": 600}}


def pods(tmp_path, change: dict[str, Any], values=PAGE) -> dict[str, Any]:
    """The pod template of each role when `change` is put over the values."""
    file = tmp_path / f"change-{len(list(tmp_path.iterdir()))}.yaml"  # what Helm says of a file is asked once
    file.write_text(yaml.safe_dump(change))
    rendered = of_kind(manifests(template("helm", values, "--values", str(file))), "Deployment")
    return {role_of(each): each["spec"]["template"] for each in rendered}


def replaced(tmp_path, change: dict[str, Any], values=PAGE) -> set[str]:
    """The roles whose pods the change replaces."""
    before, after = pods(tmp_path, {}, values), pods(tmp_path, change, values)
    return {role for role in before if before[role] != after[role]}


def test_a_load_balancers_limit_replaces_nobody_but_the_router_before_the_workers(tmp_path):
    assert replaced(tmp_path, IDLE) == {"router"}


def test_a_load_balancers_limit_replaces_workers_that_it_stands_before(tmp_path):
    assert replaced(tmp_path, IDLE, COLOCATED) == {"worker"}


@pytest.mark.parametrize(
    "change",
    [{"modelName": "another"}, {"modelVersion": "2"}, {"metrics": {"metricsScrapeIntervalSeconds": 60}}],
    ids=str,
)
def test_what_metrics_are_labelled_and_scraped_by_replaces_workers_of_one_revision(tmp_path, change):
    before, after = pods(tmp_path, {}), pods(tmp_path, change)
    assert replaced(tmp_path, change) >= WORKERS
    assert before["decode"]["metadata"]["labels"][REVISION] == after["decode"]["metadata"]["labels"][REVISION]


@pytest.mark.parametrize("change", [{"router": {"replicas": 2}}, {"router": {"image": {"tag": "9"}}}], ids=str)
def test_the_router_replaces_no_worker(tmp_path, change):
    assert not replaced(tmp_path, change) & WORKERS
