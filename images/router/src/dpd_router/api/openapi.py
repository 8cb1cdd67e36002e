"""The OpenAPI 3.1 document of one endpoint, from the table of routes. Served at /openapi.json."""

from typing import Any

import msgspec

from dpd_router.api.routes import METRICS, OPENAPI, STREAMED, Kind, Routes, Served
from dpd_router.api.schemas import ANSWERS, REQUESTS

_JSON = "application/json"
_ERRORS = {
    400: "The request cannot be understood.",
    401: "The API key is missing or not known.",
    404: "Nothing is served at this path, or the engine does not know the model.",
    405: "The path is served, the method is not.",
    408: "The request did not arrive in time.",
    413: "The body is larger than the limit.",
    429: "The key's rate is used up; Retry-After says for how long.",
    431: "The head is larger than the limit.",
    502: "An engine took the request and broke off before it answered.",
    503: "No worker can take the request now; Retry-After says when to try again.",
}

_BEFORE = (401, 405, 408, 413, 431)
_STREAM = "application/vnd.amazon.eventstream"
_FAULTS: dict[str, Any] = {
    status: {"description": text, "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Fault"}}}}
    for status, text in {
        "400": "ValidationError: there is no such endpoint.",
        "424": "ModelError: what the engine answered instead of a result.",
        "429": "ThrottlingException.",
        "500": "InternalFailure.",
        "503": "ServiceUnavailable; Retry-After says when to try again.",
    }.items()
}


def document(routes: Routes) -> bytes:
    """Return the description of everything in `routes` as JSON."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "DPD router",
                "version": "1",
                "description": (
                    "What the engines serve, behind one address. Fields that are not described here go to the engine "
                    "as they are, but for `kv_transfer_params`, which is removed."
                ),
            },
            "paths": {row.path: _item(row) for row in routes},
            "components": {
                "schemas": {**REQUESTS, **ANSWERS},
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": "When the router has API keys."},
                    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
                },
                "responses": {str(status): _error(text) for status, text in _ERRORS.items()},
            },
        }
    )


def _item(row: Served) -> dict[str, Any]:
    return {row.methods[0].lower(): _operation(row)}


def _operation(row: Served) -> dict[str, Any]:
    name = row.path.strip("/").replace("/", "_").replace(".", "_") or "root"
    operation: dict[str, Any] = {"operationId": name, "summary": row.summary, "responses": _responses(row)}
    if row.schema:
        content = {_JSON: {"schema": {"$ref": f"#/components/schemas/{row.schema}"}}}
        operation["requestBody"] = {"required": True, "content": content}
    if not row.open:
        operation["security"] = [{}, {"bearer": []}, {"header": []}]
    return operation


def _responses(row: Served) -> dict[str, Any]:
    match row.kind:
        case Kind.PATH | Kind.RELAY:
            content = {_JSON: {"schema": _ref("Answer")}}
            if row.kind is Kind.PATH:
                content["text/event-stream"] = {}  # events are the API's own, and streamed ones have no schema here
            # Engines refuse what they refuse in statuses and words of their own.
            others: dict[str, Any] = {"default": {"description": "What the engine answers.", "content": {_JSON: {}}}}
            return {"200": _answer("The engine's answer.", content), **_refusals(*_ERRORS), **others}
        case Kind.INVOKE:
            content = {_STREAM: {"schema": {"type": "string"}}} if row.path.endswith(STREAMED) else {"*/*": {}}
            return {"200": _answer("The engine's answer.", content), **_refusals(*_BEFORE), **_FAULTS}
        case Kind.LIST:
            return {"200": _whole("The engine's answer.", "Models"), **_refusals(401, 405, 429, 502, 503)}
        case Kind.OWN if row.path == METRICS:
            text = {"text/plain": {"schema": {"type": "string"}}}
            return {"200": _answer("Metrics.", text), **_refusals(405)}
        case Kind.OWN if row.path == OPENAPI:
            return {"200": _whole("This document.", "Answer"), **_refusals(405)}
        case Kind.OWN:
            down = _whole("Nobody can answer a prompt.", "Health")
            return {"200": _whole("Well.", "Health"), **_refusals(405), "503": down}


def _refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _error(text: str) -> dict[str, Any]:
    return _whole(text, "Error")


def _whole(text: str, schema: str) -> dict[str, Any]:
    return _answer(text, {_JSON: {"schema": _ref(schema)}})


def _answer(text: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": content}


def _ref(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}
