"""Kubernetes' own types as closed JSON schemas, read from the models of the `kubernetes` package.

A model is a pydantic class; its field annotations say type and requiredness, its serialization aliases the JSON names.
What the annotations do not say (which strings are quantities) stands in the tables below.
"""

import datetime
import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes.client.models as models

Schema = dict[str, Any]

KUBE_PREFIX = "io.k8s."

QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
QUANTITY: Schema = {"type": ["integer", "string"], "pattern": QUANTITY_PATTERN, "x-kubernetes-int-or-string": True}
INT_OR_STRING: Schema = {"type": ["integer", "string"], "x-kubernetes-int-or-string": True}

# The package types quantities as plain strings; these attributes hold one, or a map of them.
_QUANTITY_MAPS = frozenset({"limits", "requests", "capacity", "overhead", "allocated_resources", "allocatable"})
_QUANTITY_FIELDS = frozenset(
    {
        ("V1EmptyDirVolumeSource", "size_limit"),
        ("V1ResourceFieldSelector", "divisor"),
        ("V2MetricTarget", "average_value"),
        ("V2MetricTarget", "value"),
    }
)
_LIST_MAP_KEYS = {("V1ResourceRequirements", "claims"): ["name"]}

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    bytes: {"type": "string"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    Any: {},
}

# Which model a kind has where it is not V1<kind>.
_KINDS = {"HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler", "Event": "CoreV1Event"}
_MODEL_NAME = re.compile(r"^(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?")


def kube_definition(name: str) -> Schema:
    """Return the closed schema of one type, such as `io.k8s.EnvVar`; its references are `#/$defs/io.k8s.X`.

    Raises LookupError when the package has no such type.
    """
    return _model_schema(_model(name.removeprefix(KUBE_PREFIX)))


def kube_definitions(name: str) -> dict[str, Schema]:
    """Return the schema of `io.k8s.X` and of every type it is made of, by name."""
    found: dict[str, Schema] = {}
    pending = [_model(name.removeprefix(KUBE_PREFIX))]
    while pending:
        model = pending.pop()
        if _definition_name(model) not in found:
            found[_definition_name(model)] = _model_schema(model)
            pending.extend(_models_in(model))
    return found


def _model(kind: str) -> Any:
    for candidate in (_KINDS.get(kind, f"V1{kind}"), f"CoreV1{kind}", f"RbacV1{kind}"):
        found = getattr(models, candidate, None)
        if found is not None:
            return found
    raise LookupError(f"the kubernetes package has no type {kind}")


def _definition_name(model: Any) -> str:
    return KUBE_PREFIX + _MODEL_NAME.sub("", model.__name__)


def _model_schema(model: Any) -> Schema:
    properties = {}
    for attribute, field in sorted(model.model_fields.items()):
        properties[field.serialization_alias or attribute] = _field_schema(model, attribute, field.annotation)
    schema: Schema = {
        "description": f"Kubernetes {_MODEL_NAME.sub('', model.__name__)}.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    required = [field.serialization_alias or name for name, field in model.model_fields.items() if field.is_required()]
    return {**schema, "required": sorted(required)} if required else schema


def _field_schema(model: Any, attribute: str, annotation: Any) -> Schema:
    if (model.__name__, attribute) in _QUANTITY_FIELDS:
        return dict(QUANTITY)
    schema = _annotation_schema(annotation)
    if attribute in _QUANTITY_MAPS and schema.get("additionalProperties") == {"type": "string"}:
        schema = {**schema, "additionalProperties": dict(QUANTITY)}
    keys = _LIST_MAP_KEYS.get((model.__name__, attribute))
    if keys:
        schema = {**schema, "x-kubernetes-list-map-keys": keys, "x-kubernetes-list-type": "map"}
    return schema


def _annotation_schema(annotation: Any) -> Schema:
    shape = _SHAPES.get(typing.get_origin(annotation))
    if shape:
        return shape(typing.get_args(annotation))
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    return {"$ref": f"#/$defs/{_definition_name(annotation)}"}


def _union(arguments: tuple[Any, ...]) -> Schema:
    chosen = [each for each in arguments if each is not type(None)]
    schemas = [_annotation_schema(each) for each in chosen]
    if {each.get("type") for each in schemas} == {"integer", "string"}:
        return dict(INT_OR_STRING)
    different = [each for index, each in enumerate(schemas) if each not in schemas[:index]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _list(arguments: tuple[Any, ...]) -> Schema:
    return {"type": "array", "items": _annotation_schema(arguments[0])}


def _map(arguments: tuple[Any, ...]) -> Schema:
    inner = _annotation_schema(arguments[1])
    return {"type": "object", "additionalProperties": inner} if inner else _free_object(arguments)


def _free_object(_: tuple[Any, ...]) -> Schema:
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _annotated(arguments: tuple[Any, ...]) -> Schema:
    return _annotation_schema(arguments[0])


_SHAPES: dict[Any, Callable[[tuple[Any, ...]], Schema]] = {
    typing.Union: _union,
    types.UnionType: _union,
    list: _list,
    dict: _map,
    typing.Annotated: _annotated,
}


def _models_in(model: Any) -> Iterator[Any]:
    pending = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop()
        if hasattr(annotation, "model_fields"):
            yield annotation
        elif typing.get_origin(annotation) in _SHAPES:
            pending.extend(typing.get_args(annotation))
