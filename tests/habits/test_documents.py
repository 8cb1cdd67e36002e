"""What the documents name is there: pages in the index, fields in schemas, flags of commands, objects of the chart."""

import json
import re
from argparse import _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart.helm import manifests, template
from dpd import cli
from support.paths import CASES, ROOT

DOCS = ROOT / "docs"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if "Generated from" not in path.read_text(encoding="utf-8")[:40]]
DPD = re.compile(r"(?<![\w/.-])dpd (validate|render|size|explain|doctor)\b([^`|#\n]*)")
DOTTED = re.compile(r"`([a-z]\w*(?:\.[a-zA-Z]\w*)+)(?:: [^`]*)?`")
A_FILE = re.compile(r"\.(?:py|md|ya?ml|json|svg|toml|pem|env|jinja)$")
# No field has these names: modules, attributes of spans, the records of captures, settings of the router alone.
OTHER_NAMES = re.compile(r"(?:dpd\w*|core|captureData|transfer\.confirm)\b")
OPEN = {"modelCacheConfig.weightsCache"}
"""Fields inside of what the contract leaves open."""
TLS = ("--set", "router.tls.existingSecret=certificate", "--set", "tlsConfig.tlsCertificateOutputS3Uri=s3://bucket/")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fields(schema: Any, root: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every field of a schema, lists passed through."""
    while "$ref" in schema:
        schema = schema_at(root, schema["$ref"])
    if schema.get("type") == "array":
        schema = schema.get("items", {})
        yield from fields(schema, root, path)
    for key, inner in schema.get("properties", {}).items():
        yield (*path, key)
        if len(path) < 9 and not str(inner.get("$ref", "")).startswith("#/definitions/io.k8s"):
            yield from fields(inner, root, (*path, key))


def schema_at(root: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        root = root[step]
    return root


@pytest.fixture(scope="module")
def known() -> set[str]:
    """How a field of a manifest or of the values may be written: its path, or any end of it."""
    found = set()
    for file in ("charts/dpd/values.schema.json", "docs/reference/inferenceendpointconfig.schema.json"):
        schema = json.loads((ROOT / file).read_text(encoding="utf-8"))
        for path in fields(schema, schema):
            found |= {".".join(path[start:]) for start in range(len(path))}
    return found


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", index)}
    assert {*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")} - linked == {DOCS / "README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_field_that_a_page_names_is_in_a_schema(page: Path, known: set[str]) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = {each for each in DOTTED.findall(text) if not A_FILE.search(each) and not OTHER_NAMES.match(each)}
    assert named - known - OPEN == set()


def flags_of(command: str) -> set[str]:
    """The flags that a command's help has."""
    (commands,) = [each for each in cli.parser()._actions if isinstance(each, _SubParsersAction)]
    return {flag for each in commands.choices[command]._actions for flag in each.option_strings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=name)
def test_a_dpd_command_has_only_flags_that_there_are(page: Path) -> None:
    for command, rest in DPD.findall(page.read_text(encoding="utf-8")):
        given = set(re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", rest))
        assert given - flags_of(command) == set(), f"dpd {command}{rest}"


def test_what_the_runbook_asks_kubectl_for_is_what_the_chart_draws() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    commands = re.findall(r"kubectl (?:get|logs|describe|delete|wait) [^`\n]*", text)
    assert len(commands) > 6
    drawn = manifests(template("helm", CASES / "accept" / "dpd-page" / "values.yaml", *TLS))
    pods = [each["spec"]["template"] for each in drawn if each["kind"] == "Deployment"]
    labels = {f"{key}={value}" for pod in pods for key, value in pod["metadata"]["labels"].items()}
    containers = {each["name"] for pod in pods for each in pod["spec"]["containers"]}
    objects = {(each["kind"].lower(), each["metadata"]["name"]) for each in drawn}
    for command in commands:
        said = re.sub(r"\bN-NS\b", "dpd-test-default", re.sub(r"\bN\b(?!-NS)", "dpd-test", command))
        assert set(re.findall(r" -l (\S+)", said)) <= labels, command
        assert set(re.findall(r" -c (\S+)", said)) <= containers, command
        assert set(re.findall(r" (deployment|certificate) .*?(\S*dpd-test\S*)", said)) <= objects, command
