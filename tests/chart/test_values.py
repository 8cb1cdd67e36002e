"""Values that are wrong are refused before anything is rendered, and pdSpec alone decides the shape."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import RefusedError, manifests, of_kind, role_of, template
from support.paths import CHART, TOOLS

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"


def kinds_and_names(text: str) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in manifests(text)}


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_a_misspelt_key_is_refused_with_its_path(program: str) -> None:
    with pytest.raises(RefusedError, match=r"pdSpec[./]prefillSpec.*replcas"):
        template(program, PAGE, "--set", "pdSpec.prefillSpec.replcas=3")


@pytest.mark.parametrize(
    ("flag", "where"),
    [
        ("wroker.image=x", "wroker"),
        ("transfer.fabrik=tcp", "/transfer.*fabrik"),
        ("transfer.fabric=ib", "/transfer/fabric"),
        ("router.replicas=-1", "/router/replicas"),
        ("router.replicas=0", "/router/replicas"),
        ("pdSpec.routingThreshold=-1", "/pdSpec/routingThreshold"),
        ("worker.environmentVariables[0].valu=1", "/worker/environmentVariables/0.*valu"),
        ("podSecurity.worker.runAsUsr=1", "/podSecurity/worker.*runAsUsr"),
        ("proxy.image.tag=latest", "/proxy/image/tag"),
        ("shm.sizeLimit=lots", "/shm/sizeLimit"),
        ("nameOverride=Dpd", "/nameOverride"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(flag: str, where: str) -> None:
    with pytest.raises(RefusedError, match=where):
        template("helm", PAGE, "--set", flag)


def test_what_a_schema_cannot_say_is_told_all_at_once() -> None:
    with pytest.raises(RefusedError) as refusal:
        template("helm", PAGE, "--set", "transfer.allocPort=7301,drainSeconds=900")
    assert (
        "the values do not fit together:\n"
        "terminationGracePeriodSeconds: 300 is over before the 900 drainSeconds are; make it longer\n"
        "transfer.allocPort: 7301 is less than 8 ports, one per rank, from transfer.initPort 7300; move one of them\n"
    ) in str(refusal.value)


def test_nothing_is_rendered_without_the_required_keys(tmp_path: Path) -> None:
    empty = tmp_path / "values.yaml"
    empty.write_text("{}\n")
    with pytest.raises(RefusedError, match=r"modelName.*modelSourceConfig.*worker"):
        template("helm", empty)


def test_the_packaged_chart_refuses_a_typo_too(tmp_path: Path) -> None:
    subprocess.run([TOOLS / "helm", "package", CHART, "--destination", tmp_path], check=True, capture_output=True)
    (package,) = tmp_path.glob("dpd-*.tgz")
    assert template("helm", PAGE, chart=package) == template("helm", PAGE)
    with pytest.raises(RefusedError, match=r"/pdSpec/prefillSpec.*replcas"):
        template("helm", PAGE, "--set", "pdSpec.prefillSpec.replcas=3", chart=package)


def test_the_package_leaves_out_tests_and_example_values(tmp_path: Path) -> None:
    subprocess.run([TOOLS / "helm", "package", CHART, "--destination", tmp_path], check=True, capture_output=True)
    shutil.unpack_archive(next(tmp_path.glob("dpd-*.tgz")), tmp_path / "unpacked")
    found = {path.name for path in (tmp_path / "unpacked" / "dpd").iterdir()}
    assert found == {
        ".helmignore",
        "Chart.yaml",
        "README.md",
        "files",
        "templates",
        "values.schema.json",
        "values.yaml",
    }


def without_pd_spec(tmp_path: Path) -> Path:
    values: dict[str, Any] = yaml.safe_load(PAGE.read_text())
    del values["pdSpec"]
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_taking_pd_spec_away_gives_a_colocated_endpoint(tmp_path: Path) -> None:
    documents = manifests(template("helm", without_pd_spec(tmp_path)))
    assert {role_of(each) for each in of_kind(documents, "Deployment")} == {"worker", "router"}
    assert {each["metadata"]["name"] for each in of_kind(documents, "Deployment")} == {
        "dpd-test",
        "dpd-test-default-router",
    }


def test_a_null_pd_spec_is_an_absent_one(tmp_path: Path) -> None:
    assert template("helm", PAGE, "--set", "pdSpec=null") == template("helm", without_pd_spec(tmp_path))


def test_going_colocated_and_back_leaves_what_both_share_in_place(tmp_path: Path) -> None:
    both = kinds_and_names(template("helm", PAGE)) & kinds_and_names(template("helm", without_pd_spec(tmp_path)))
    assert both == {
        ("ConfigMap", "dpd-test-default-router"),
        ("ConfigMap", "dpd-test-default-router-otel"),
        ("ConfigMap", "dpd-test-otel"),
        ("ConfigMap", "dpd-test-proxy"),
        ("ConfigMap", "dpd-test-worker-checks"),
        ("Deployment", "dpd-test-default-router"),
        ("Ingress", "alb-dpd-test-default"),
        ("NetworkPolicy", "dpd-test-default-router"),
        ("PodDisruptionBudget", "dpd-test-default-router"),
        ("PersistentVolume", "default-dpd-test-model-ca86fad0"),
        ("PersistentVolumeClaim", "dpd-test-model-ca86fad0"),
        ("Role", "dpd-test-default-router"),
        ("RoleBinding", "dpd-test-default-router"),
        ("Service", "dpd-test-default-routing-service"),
        ("ServiceAccount", "dpd-test-default-router"),
        ("ServiceAccount", "dpd-test-worker"),
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_charts_own_suites_pass() -> None:
    done = subprocess.run([TOOLS / "helm-unittest", CHART], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


def leaves(values: Any, path: str = "") -> list[str]:
    """Paths of what the chart's values.yaml says, resources apart: empty says nothing, and none is a choice."""
    match values:
        case dict() if values and not path.endswith(".resources"):
            return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))]
    return [path] if values not in ({}, [], "", None) and not path.endswith((".resources", ".image.tag")) else []


def without(paths: list[str]) -> str:
    return ",".join(f"{path}=null" for path in paths)


def refusal_of(program: str, *flags: str) -> list[str]:
    with pytest.raises(RefusedError) as refusal:
        template(program, PAGE, *flags)
    return str(refusal.value).splitlines()


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_null_in_place_of_a_default_is_refused_wherever_there_is_one(program: str) -> None:
    paths = [path for path in leaves(yaml.safe_load((CHART / "values.yaml").read_text())) if "repository" not in path]
    assert len(paths) > 30
    told = refusal_of(program, "--set", without(paths))
    assert {f"{path}: null, and the chart reads it; leave it out to have its default" for path in paths} <= set(told)


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_null_in_place_of_a_whole_section_is_refused_with_its_name(program: str) -> None:
    defaults: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    sections = [key for key, value in defaults.items() if leaves(value, key)]
    told = refusal_of(program, "--set", without([*sections, "podSecurity"]))
    assert [line for line in told if "null" in line] == sorted(
        f"{key}: null, and the chart reads it; leave it out to have its default" for key in [*sections, "podSecurity"]
    )


@pytest.mark.parametrize("section", ["router.image", "proxy.image", "collector.image", "rollout.surge", "prefetch.s3"])
def test_null_in_place_of_a_section_within_is_refused_with_its_path(section: str) -> None:
    told = refusal_of("helm", "--set", without([section]))
    assert f"{section}: null, and the chart reads it; leave it out to have its default" in told


def test_null_in_place_of_something_empty_is_the_same() -> None:
    empty = ["imagePullSecrets", "podSecurity.worker", "podSecurity.sidecars", "podSecurity.router"]
    assert template("helm", PAGE, "--set", without(empty)) == template("helm", PAGE)


@pytest.mark.parametrize("namespace", ["Bad_NS", "ns.with.dot", "-a"])
def test_a_release_namespace_that_is_none_is_refused(namespace: str, tmp_path: Path) -> None:
    values: dict[str, Any] = yaml.safe_load(PAGE.read_text())
    values["namespaceOverride"] = ""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    wanted = f'release namespace: "{namespace}" cannot name a namespace; use at most 63 lower-case letters'
    with pytest.raises(RefusedError) as refusal:
        template("helm", file, f"--namespace={namespace}")
    assert wanted in str(refusal.value)
