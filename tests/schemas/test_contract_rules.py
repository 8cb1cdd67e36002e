"""What holds for every part of the contract and of the values: closed, described, with patterns every engine knows."""

import re
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft6Validator, Draft7Validator

from schemagen.sources import Sources, walk

NOT_IN_RE2 = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|[*+?}]\+")
BOTH = pytest.mark.parametrize("name", ["contract", "values_schema"])


def all_schemas(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every schema inside `schema`, and not the mappings of names to schemas."""
    names = re.compile(r"(^|\.)(definitions|properties)$")
    return [(path, each) for path, each in walk(schema) if not names.search(path)]


@pytest.mark.parametrize(("name", "draft"), [("contract", Draft7Validator), ("values_schema", Draft6Validator)])
def test_it_is_a_schema_of_its_draft_with_local_references_only(
    name: str, draft: Any, request: pytest.FixtureRequest
) -> None:
    schema = request.getfixturevalue(name)
    assert schema["$schema"] == draft.META_SCHEMA["$schema"]
    draft.check_schema(schema)
    assert not {key for _, each in all_schemas(schema) for key in each} & {"if", "then", "else"}, "those are draft-07's"
    targets = {each["$ref"] for _, each in walk(schema) if type(each.get("$ref")) is str}
    assert targets == {f"#/definitions/{each}" for each in schema["definitions"]}


@BOTH
def test_every_object_is_closed_or_a_map_or_says_that_its_fields_are_unknown(
    name: str, request: pytest.FixtureRequest
) -> None:
    schema = request.getfixturevalue(name)
    objects = [(path, each) for path, each in all_schemas(schema) if "object" in str(each.get("type"))]
    free = [path for path, each in objects if "additionalProperties" not in each]
    assert len(objects) > 100
    assert all(each["additionalProperties"] is not True for path, each in objects if path not in free)
    allowed = {
        "contract": {"definitions.ModelCacheConfig", "definitions.io.k8s.ManagedFieldsEntry.properties.fieldsV1"},
        "values_schema": {
            "properties.modelCacheConfig",
            "properties.router.properties.tracing.properties.exporters.additionalProperties",  # any exporter
            "properties.global",
            "properties.kubernetes.properties.volumes.items.properties.ephemeral.properties.volumeClaimTemplate"
            ".properties.metadata.properties.managedFields.items.properties.fieldsV1",
        },
    }
    assert set(free) == allowed[name]


@BOTH
def test_every_pattern_compiles_in_python_and_asks_nothing_re2_lacks(name: str, request: pytest.FixtureRequest) -> None:
    patterns = {each["pattern"] for _, each in all_schemas(request.getfixturevalue(name)) if "pattern" in each}
    assert len(patterns) > 10
    assert all(re.compile(each) for each in patterns)
    assert [each for each in patterns if NOT_IN_RE2.search(each)] == []


@pytest.mark.parametrize("pattern", ["a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", r"(a)\1", "a++", "(?>a)"])
def test_the_check_for_re2_knows_what_re2_lacks(pattern: str) -> None:
    assert NOT_IN_RE2.search(pattern)


@BOTH
def test_every_default_is_valid_where_it_stands(name: str, request: pytest.FixtureRequest) -> None:
    schema = request.getfixturevalue(name)
    defaults = [(path, each) for path, each in all_schemas(schema) if "default" in each]
    assert len(defaults) > 30
    for path, each in defaults:
        local = {**each, "definitions": schema["definitions"]}
        problems = [error.message for error in Draft7Validator(local).iter_errors(each["default"])]
        assert problems == [], path


def test_every_definition_and_every_field_of_ours_has_a_description_of_one_line(sources: Sources) -> None:
    fields = [("document", sources.document), ("values", sources.values), *sources.definitions.items()]
    for name, schema in fields:
        if name.startswith("io.k8s."):
            continue
        assert name == "values" or one_line(schema), name
        for key, field in schema.get("properties", {}).items():
            assert one_line(field), f"{name}.{key}"


def one_line(schema: dict[str, Any]) -> bool:
    text = schema.get("description", "")
    return bool(text) and "\n" not in text and text.endswith(".") and len(text) <= 130


def test_integers_are_bounded_as_their_format_says(contract: Any) -> None:
    replicas = contract["definitions"]["Spec"]["properties"]["replicas"]
    assert (replicas["minimum"], replicas["maximum"]) == (-(2**31), 2**31 - 1)
    threshold = contract["definitions"]["PdSpec"]["properties"]["routingThreshold"]
    assert (threshold["minimum"], threshold["maximum"]) == (0, 2**31 - 1)


def test_values_hold_every_key_of_the_spec_with_the_contracts_own_schema(contract: Any, values_schema: Any) -> None:
    spec = contract["definitions"]["Spec"]
    assert set(spec["properties"]) <= set(values_schema["properties"])
    assert set(spec["required"]) <= set(values_schema["required"])
    for name, schema in spec["properties"].items():
        ours, theirs = spelled_out(values_schema["properties"][name], values_schema), spelled_out(schema, contract)
        if name not in spec["required"]:
            theirs["type"] = [theirs["type"], "null"]
            theirs.update({"enum": [*theirs["enum"], None]} if "enum" in theirs else {})
        assert ours == theirs, name
    mine, whole = values_schema["definitions"], contract["definitions"]
    shared = set(whole) & set(mine)
    assert {"RoleSpec", "AutoScalingSpec", "io.k8s.EnvVar"} <= shared
    assert all(spelled_out(mine[each], values_schema) == spelled_out(whole[each], contract) for each in shared)


def spelled_out(schema: Any, root: Any) -> Any:
    """Return a schema with what it refers to in place of the references; what stands beside one wins."""
    match schema:
        case list():
            return [spelled_out(each, root) for each in schema]
        case {"$ref": str(reference), **beside}:
            return {**spelled_out(root["definitions"][reference.removeprefix("#/definitions/")], root), **beside}
        case dict():
            return {key: spelled_out(value, root) for key, value in schema.items()}
    return schema


def test_what_the_values_refer_to_once_stands_where_it_is_meant(values_schema: Any) -> None:
    used = Counter(each["$ref"] for _, each in walk(values_schema) if type(each.get("$ref")) is str)
    assert len(used) > 20
    assert min(used.values()) > 1


def test_a_key_of_the_values_that_the_spec_does_not_require_may_be_null(contract: Any, values_schema: Any) -> None:
    spec = contract["definitions"]["Spec"]
    nullable = {key for key in spec["properties"] if "null" in values_schema["properties"][key].get("type", [])}
    assert nullable == set(spec["properties"]) - set(spec["required"])
