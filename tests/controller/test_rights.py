"""The chart's rights, the kinds the controller knows, and the kinds the dpd chart draws are one list."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from controller.cluster import SYSTEM
from dpd_operator.core.kinds import DRAWN, POD
from support.paths import CHART, ROOT, TOOLS

EVERYTHING = ["get", "list", "watch", "create", "patch", "delete"]
_DRAWS = re.compile(r"^\s*apiVersion: (\S+)\n\s*kind: (\S+)$", re.MULTILINE)


def drawn_by_the_chart() -> set[tuple[str, str]]:
    # The pod of `helm test` is made by whoever calls that.
    files = [path for path in CHART.glob("templates/**/*.*") if path.parent.name != "tests"]
    texts = [path.read_text(encoding="utf-8") for path in files]
    found = {pair for text in texts for pair in _DRAWS.findall(text)}
    assert ("apps/v1", "Deployment") in found
    return found


def documents(*flags: str) -> list[dict[str, Any]]:
    command = [TOOLS / "helm", "template", "x", ROOT / "charts/dpd-operator", "--namespace", SYSTEM]
    done = subprocess.run([*map(str, command), *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def rights(found: list[dict[str, Any]], kind: str) -> dict[tuple[str, str], list[str]]:
    rules = [rule for each in found if each["kind"] == kind for rule in each["rules"]]
    return {(rule["apiGroups"][0], name): rule["verbs"] for rule in rules for name in rule["resources"]}


def test_the_controller_knows_every_kind_the_chart_draws_and_no_other() -> None:
    assert {(each.api_version, each.kind) for each in DRAWN} == drawn_by_the_chart()


def test_the_controller_may_make_what_the_chart_draws_and_nothing_else() -> None:
    held = rights(documents(), "ClusterRole")
    made = {name for name, verbs in held.items() if verbs == EVERYTHING}
    assert made == {(each.group, each.plural) for each in DRAWN}
    assert {name: verbs for name, verbs in held.items() if name not in made} == {
        ("inference.sagemaker.aws.amazon.com", "inferenceendpointconfigs"): ["get", "list", "watch", "patch"],
        ("inference.sagemaker.aws.amazon.com", "inferenceendpointconfigs/status"): ["patch"],
        ("", POD.plural): ["get", "list", "watch"],
        ("", "events"): ["create"],
    }


def test_secrets_and_leases_are_the_controllers_only_in_its_own_namespace() -> None:
    found = documents()
    own = [each["metadata"]["namespace"] for each in found if each["kind"] == "Role"]
    assert own == [SYSTEM]
    assert set(rights(found, "Role")) == {("", "secrets"), ("coordination.k8s.io", "leases")}


@pytest.mark.parametrize("count", [1, 2])
def test_a_controller_of_some_namespaces_has_rights_there_and_where_routers_are(count: int) -> None:
    names = [f"team-{index}" for index in range(count)]
    found = documents("--set", f"namespaces={{{','.join(names)}}}")
    assert set(rights(found, "ClusterRole")) == {("", "persistentvolumes")}
    bound = [each["metadata"]["namespace"] for each in found if each["kind"] == "RoleBinding"]
    assert bound == [SYSTEM, *names, SYSTEM]
