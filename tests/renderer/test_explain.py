"""`dpd explain` as people run it, and what an editor is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from dpd.explain.fields import Book
from dpd.explain.names import steps_of
from dpd.package import contract_schema, field_rows
from support.paths import EXAMPLES, ROOT

MODELINE = "# yaml-language-server: $schema="


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(contract_schema(), field_rows())


@pytest.fixture
def explained(dpd: Callable[..., Any]) -> Callable[[str], Any]:
    def run(field: str) -> Any:
        ran = dpd("explain", field, "-o", "json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return run


def test_a_field_is_said_with_type_default_bounds_and_what_it_does_where(dpd) -> None:
    assert dpd("explain", "spec.pdSpec.routingThreshold").out == (
        "spec.pdSpec.routingThreshold\n"
        "  Prompt tokens from which a request goes through a prefiller; 0 sends every request.\n"
        "\n"
        "type      whole number, 0 or more\n"
        "default   4096\n"
        "here      Tokens from which the router sends a prompt through a prefiller.\n"
        "where     charts/dpd/templates/router/_router.tpl\n"
    )


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("routingThreshold", "spec.pdSpec.routingThreshold"),
        ("pdSpec.routingThreshold", "spec.pdSpec.routingThreshold"),
        (".spec.pdSpec.routingThreshold", "spec.pdSpec.routingThreshold"),
        ("worker", "spec.worker"),
        ("spec.tags[].name", "spec.tags.name"),
        ("tags[3].name", "spec.tags.name"),
        ("metadata.name", "metadata.name"),
        ("status.conditions.reason", "status.conditions.reason"),
        ("resources.limits", "spec.worker.resources.limits"),
        ('worker.resources.limits["nvidia.com/gpu"]', 'spec.worker.resources.limits["nvidia.com/gpu"]'),
        ("worker.probes.livenessProbe.httpGet.path", "spec.worker.probes.livenessProbe.httpGet.path"),
        ("s3Storage.region", "spec.modelSourceConfig.s3Storage.region"),
    ],
)
def test_a_field_is_found_however_it_is_written(explained, typed, path) -> None:
    assert explained(typed)["path"] == path


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("spec.pdSpec.routingTreshold", "no such field; did you mean spec.pdSpec.routingThreshold?"),
        ("spec.pdspec.routingThreshold", "did you mean spec.pdSpec.routingThreshold?"),
        ("routingTreshold", "routingTreshold: no such field; did you mean spec.pdSpec.routingThreshold?"),
        ("spec.pdSpec.prefilSpec.replicas", "did you mean spec.pdSpec.prefillSpec.replicas?"),
        ("args", "args: stands in 3 places; say which: spec.worker.args, spec.pdSpec.decodingSpec.args,"),
        ("pdSpec.zzz", "no such field; spec.pdSpec has decodingSpec, prefillSpec, autoScalingSpec"),
        ("modelName.zzz", "no such field; spec.modelName is text, with no fields inside"),
        ("PD_BUFFER_SIZE", "no such field; a variable of the engine is an entry of spec.worker.environmentVariables"),
    ],
)
def test_a_field_that_is_not_there_is_answered_with_what_may_be_meant(dpd, typed, said) -> None:
    ran = dpd("explain", typed)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_an_object_lists_its_fields_the_required_ones_first(explained) -> None:
    fields = explained("modelSourceConfig")["fields"]
    assert fields[0] == {
        "name": "modelSourceType",
        "type": "text",
        "required": True,
        "description": fields[0]["description"],
    }
    assert {"s3Storage", "fsxStorage", "huggingFaceModel"} < {each["name"] for each in fields}


def test_a_field_beside_the_whole_schema_is_bad_usage(dpd) -> None:
    ran = dpd("explain", "--schema", "pdSpec")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "dpd: --schema: writes the whole contract; leave out pdSpec\n"


def test_without_a_field_the_document_itself_is_explained(dpd) -> None:
    out = dpd("explain").out
    assert out.startswith("InferenceEndpointConfig\n")
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")][1:] == [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
    ]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("InitialReplicaCount", "here      accepted, no effect here: it is deprecated and never read; use replicas"),
        ("dataCapture.sagemakerEndpoint.enabled", "here      accepted, no effect here: SageMaker itself records"),
        ("lmcache.mode", "since     operator 3.7"),
        ("instanceType", "write it with its prefix, as in ml.p5.48xlarge"),
        ("autoScalingSpec.minReplicaCount", "also in   spec.intelligentRoutingSpec.autoScalingSpec.minReplicaCount"),
    ],
)
def test_what_has_no_effect_came_later_or_stands_elsewhere_is_said(dpd, field, said) -> None:
    assert said in dpd("explain", field).out


def every(book: Book) -> list[Any]:
    return [each for each in book._all(book.root) if each.path[0] == "spec"]


def test_every_field_of_the_spec_says_what_it_is_and_what_it_does_here(book) -> None:
    silent = [
        each.path
        for each in every(book)
        if not each.description or not (book.children(each) or "does" in book.row(each) or "warning" in book.row(each))
    ]
    assert silent == []


def test_every_file_that_is_named_exists(book) -> None:
    files = {file for row in field_rows().values() for file in row.get("where", [])}
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_every_field_is_found_by_its_own_path(book) -> None:
    assert all(book.find(steps_of(".".join(each.path))).path == each.path for each in every(book))


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_names_its_schema_to_editors_and_keeps_it(example) -> None:
    first, _, rest = example.read_text(encoding="utf-8").partition("\n")
    assert first.startswith(MODELINE)
    schema = json.loads((example.parent / first.removeprefix(MODELINE)).read_text(encoding="utf-8"))
    validator = Draft7Validator(schema)
    documents = list(yaml.safe_load_all(rest))
    assert documents
    assert [error.message for each in documents for error in validator.iter_errors(each)] == []


def test_the_editors_schema_differs_from_the_contract_only_in_what_it_says() -> None:
    published = json.loads((EXAMPLES.parent / "docs/reference/inferenceendpointconfig.schema.json").read_text())
    threshold = published["definitions"]["PdSpec"]["properties"]["routingThreshold"]
    assert threshold["description"].endswith("Tokens from which the router sends a prompt through a prefiller.")
    assert _silent(published) == _silent(contract_schema())


def test_the_schema_is_printed_for_manifests_elsewhere(dpd) -> None:
    assert json.loads(dpd("explain", "--schema").out) == contract_schema()


def _silent(schema: Any, *, inside_names: bool = False) -> Any:
    """Return a schema without its descriptions; a field may be called so, and stays."""
    match schema:
        case dict():
            return {
                key: _silent(value, inside_names=key in ("properties", "definitions") and not inside_names)
                for key, value in schema.items()
                if inside_names or key != "description"
            }
        case list():
            return [_silent(each) for each in schema]
        case _:
            return schema
