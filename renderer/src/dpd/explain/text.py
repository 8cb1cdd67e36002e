"""A field as data, and as people read it."""

import json
import textwrap
from typing import Any

from dpd.explain.fields import Book, Field
from dpd.problems import path_text

_WIDTH = 100
_SHOWN_PLACES = 4


def data_of(book: Book, field: Field) -> dict[str, Any]:
    """Return everything there is to say of a field, as plain data."""
    row = book.row(field)
    found: dict[str, Any] = {
        "path": path_text(field.path),
        "description": field.description,
        "type": book.kind(field),
        "required": field.required,
        "values": book.bounds(field),
        **{key: field.schema.get(key, field.held.get(key)) for key in ("default",) if _has(field, key)},
        **{key: row[key] for key in ("does", "where", "warning", "remedy", "unless") if key in row},
    }
    since = field.schema.get("x-operator-version")
    if since:
        found["since"] = since
    found["fields"] = [
        {"name": each.path[-1], "type": book.kind(each), "required": each.required, "description": each.description}
        for each in book.children(field)
    ]
    return found


def text_of(book: Book, field: Field) -> str:
    """Return what people read."""
    data = data_of(book, field)
    lines = [data["path"] or "InferenceEndpointConfig", *_wrapped(data["description"], "  "), ""]
    lines += _pairs(
        [
            ("type", ", ".join([data["type"], *data["values"]])),
            ("required", "yes" if field.required and field.path else ""),
            ("default", json.dumps(data["default"], ensure_ascii=False) if "default" in data else ""),
            ("since", f"operator {data['since']}" if "since" in data else ""),
            ("here", data.get("does", "")),
            ("but" if "does" in data else "here", _warning(data)),
            ("where", ", ".join(data.get("where", []))),
            ("also in", _others(book, field)),
        ]
    )
    if data["fields"]:
        lines += ["", "fields", *_children(data["fields"])]
    return "\n".join(lines) + "\n"


def _has(field: Field, key: str) -> bool:
    return key in field.schema or key in field.held


def _warning(data: dict[str, Any]) -> str:
    if "warning" not in data:
        return ""
    remedy = f"; {data['remedy']}" if "remedy" in data else ""
    unless = ", ".join(json.dumps(each) for each in data.get("unless", []))
    return f"{data['warning']}{remedy}" + (f" (unless {unless})" if unless else "")


def _others(book: Book, field: Field) -> str:
    """Other places where the same field of the same object stands."""
    if not field.path or not field.owner:
        return ""
    places = [path_text(each) for each in book.places(field) if each != field.path]
    more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
    return ", ".join(places[:_SHOWN_PLACES]) + more


def _pairs(rows: list[tuple[str, str]]) -> list[str]:
    lines = []
    for label, text in rows:
        if text:
            first, *rest = _wrapped(text, " " * 10)
            lines += [f"{label:<10}{first.strip()}", *rest]
    return lines


def _children(children: list[dict[str, Any]]) -> list[str]:
    name = max(len(each["name"]) for each in children) + 2
    typed = [each["type"] + (", required" if each["required"] else "") for each in children]
    width = max(len(each) for each in typed) + 2
    return [
        f"  {each['name']:<{name}}{said:<{width}}{each['description'].partition('. ')[0]}".rstrip()
        for each, said in zip(children, typed, strict=True)
    ]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
