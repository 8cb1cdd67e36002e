"""The reference pages: one table per object, field by field, in the order a reader meets them."""

import json
from collections.abc import Iterator
from typing import Any

from schemagen.kube import KUBE_PREFIX
from schemagen.sources import Schema, Sources, reference_name

_GENERATED = "<!-- Generated from schemas/ by `make generate`; do not edit. -->\n"
_COLUMNS = ["field", "type", "default", "constraint", "description"]
_FIRST_VERSION = "v1"

_ENDPOINT = """# The endpoint: every field of an InferenceEndpointConfig

`apiVersion: inference.sagemaker.aws.amazon.com/v1`, `kind: InferenceEndpointConfig`. A star marks a required field.
A key that is not listed is refused. "since" is the version of the HyperPod inference operator that brought a field, and
`v1` where that is no later than the contract's first version. Types that begin with `k8s` are Kubernetes' own, closed
like the rest.
"""
_VALUES = """# The values: every key of the dpd chart

The chart takes every field of an endpoint's `spec` at its top level, word for word:
see [the endpoint](endpoint.md#spec). A key of the spec that is not required may be `null`, which means absent. Beside
them the chart has the keys below and Helm's `global`. A star marks a required key. A key that is in neither list is
refused, with its path.
"""


def endpoint_page(sources: Sources) -> str:
    """Return the page about the whole document, as Markdown."""
    return _page(sources, _ENDPOINT, sources.document, "Document", _FIRST_VERSION)


def values_page(sources: Sources) -> str:
    """Return the page about the chart's own values, as Markdown."""
    return _page(sources, _VALUES, sources.values, "Chart keys", "")


def _page(sources: Sources, heading: str, root: Schema, title: str, since: str) -> str:
    sections = [_GENERATED + "\n" + heading, _section(sources, title, root, since)]
    sections += [_section(sources, name, sources.definitions[name], since) for name in _objects(sources, root)]
    return "\n".join(sections)


def _objects(sources: Sources, root: Schema) -> list[str]:
    """Return our own objects under `root`, each where it is first met, a parent before its children."""
    found: list[str] = []

    def visit(schema: Schema) -> None:
        """Add what `schema` names, depth first."""
        for name in _named_in(sources, schema):
            if name not in found:
                found.append(name)
                visit(sources.definitions[name])

    visit(root)
    return found


def _named_in(sources: Sources, schema: Schema) -> Iterator[str]:
    for field in schema.get("properties", {}).values():
        for each in (field, field.get("items", {}), field.get("additionalProperties", {})):
            name = reference_name(each["$ref"]) if each and "$ref" in each else ""
            if name and "properties" in sources.definitions[name] and not name.startswith(KUBE_PREFIX):
                yield name


def _section(sources: Sources, title: str, schema: Schema, since: str) -> str:
    required = schema.get("required", [])
    rows = [_row(sources, name, field, name in required, since) for name, field in schema["properties"].items()]
    lead = f"{schema['description']}\n\n" if "description" in schema else ""
    columns = [*_COLUMNS, "since"] if since else _COLUMNS
    return f"## {title}\n\n{lead}{_line(columns)}{_line(['---'] * len(columns))}{''.join(rows)}"


def _row(sources: Sources, name: str, field: Schema, required: bool, since: str) -> str:
    cells = [
        f"`{name}`{' *' if required else ''}",
        _type(sources, field),
        _code(field["default"]) if "default" in field else "",
        _constraint(field),
        field.get("description", ""),
    ]
    return _line([*cells, field.get("x-operator-version", since)] if since else cells)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _type(sources: Sources, field: Schema) -> str:
    if "$ref" in field:
        return _reference(sources, reference_name(field["$ref"]))
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(sources, field.get('items', {}))}"
    if kind == "object" and type(field.get("additionalProperties")) is dict:
        return f"map of {_type(sources, field['additionalProperties'])}"
    return kind if type(kind) is str else " or ".join(kind)


def _reference(sources: Sources, name: str) -> str:
    schema = sources.definitions[name]
    if "$ref" in schema:
        return _reference(sources, reference_name(schema["$ref"]))
    if name.startswith(KUBE_PREFIX):
        return f"k8s {name.removeprefix(KUBE_PREFIX)}"
    return f"[{name}](#{name.lower()})" if "properties" in schema else _type(sources, schema)


def _constraint(field: Schema) -> str:
    parts = [
        f"one of {', '.join(_code(each) for each in field['enum'])}" if "enum" in field else "",
        f"always {_code(field['const'])}" if "const" in field else "",
        _range(field, "minimum", "maximum", ""),
        _range(field, "minLength", "maxLength", " characters"),
        _range(field, "minItems", "maxItems", " items"),
        f"matches {_code(field['pattern'], plain=True)}" if "pattern" in field else "",
        f"unique by {_code(field['x-kubernetes-list-map-keys'][0], plain=True)}"
        if "x-kubernetes-list-map-keys" in field
        else "",
    ]
    return ", ".join(part for part in parts if part)


def _range(field: Schema, low: str, high: str, unit: str) -> str:
    if low in field and high in field:
        return f"{field[low]} to {field[high]}{unit}"
    if unit and field.get(low) == 1 and high not in field:
        return "not empty"
    if low in field:
        return f"at least {field[low]}{unit}"
    return f"at most {field[high]}{unit}" if high in field else ""


def _code(value: Any, plain: bool = False) -> str:
    return f"`{value if plain else json.dumps(value, ensure_ascii=False)}`"
