"""What requests and answers look like, as JSON Schema: what the router and the engines agree on, and no more.

Engines know many more fields than these, and take them: objects are open, and what is written here holds.
"""

from typing import Any

Schema = dict[str, Any]


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _whole(low: int, high: int = 2**31 - 1, **more: Any) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_SOME: Schema = {"type": "string", "minLength": 1}
_OBJECT: Schema = {"type": "object"}
_TOKENS = _list(_whole(0), minItems=1)
_CONTENT: Schema = {"oneOf": [_TEXT, _list(_object("type", type=_TEXT))]}
_MESSAGES = _list(_object("role", "content", role=_SOME, content=_CONTENT), minItems=1)
_STOP: Schema = {"oneOf": [_SOME, _list(_SOME)]}
_TEXTS: Schema = {"oneOf": [_SOME, _list(_SOME, minItems=1)]}
_PROMPT: Schema = {
    "description": "Text, token ids, or a list of either. Several prompts go to the decoder, whatever their length.",
    "oneOf": [_SOME, _list(_SOME, minItems=1), _TOKENS, _list(_TOKENS, minItems=1)],
}
_TOOLS = _list(_object("type", type=_TEXT))
_SAMPLING: dict[str, Schema] = {
    "model": _TEXT,
    "max_tokens": _whole(1),
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "stream": _FLAG,
}
_OPENAI: dict[str, Schema] = {
    **_SAMPLING,
    "n": _whole(1, 128, description="Several answers go to the decoder, whatever the prompt's length."),
    "seed": _whole(-(2**31)),
    "stop": _STOP,
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "stream_options": _object(include_usage=_FLAG),
    "user": _TEXT,
}

REQUESTS: dict[str, Schema] = {
    "Chat": _object(
        "messages",
        **_OPENAI,
        messages=_MESSAGES,
        max_completion_tokens=_whole(1),
        tools=_TOOLS,
        logprobs=_FLAG,
        top_logprobs=_whole(0, 20),
        response_format=_object("type", type={"enum": ["text", "json_object", "json_schema"]}),
    ),
    "Completion": _object("prompt", **_OPENAI, prompt=_PROMPT, echo=_FLAG, logprobs=_whole(0, 20)),
    "Response": _object(
        "input",
        **_SAMPLING,
        input={"oneOf": [_SOME, _list(_OBJECT, minItems=1)]},
        instructions=_TEXT,
        max_output_tokens=_whole(1),
        tools=_TOOLS,
        previous_response_id={**_TEXT, "description": "Known to the one engine that kept it, if any did."},
    ),
    "Message": _object(
        "model",
        "messages",
        "max_tokens",
        **_SAMPLING,
        messages=_MESSAGES,
        system=_CONTENT,
        stop_sequences=_list(_SOME),
        tools=_list(_object("name", name=_SOME, input_schema=_OBJECT)),
    ),
    "MessageCount": _object("model", "messages", model=_TEXT, messages=_MESSAGES, system=_CONTENT),
    "Any": {"anyOf": [_ref("Chat"), _ref("Completion")]},
    "Embedding": _object("input", model=_TEXT, input=_PROMPT, encoding_format={"enum": ["float", "base64"]}),
    "Score": _object("text_1", "text_2", model=_TEXT, text_1=_TEXTS, text_2=_TEXTS),
    "Rerank": _object("query", "documents", model=_TEXT, query=_SOME, documents=_list(_SOME, minItems=1)),
    "Tokenize": {
        "anyOf": [
            _object("prompt", model=_TEXT, prompt=_TEXT, add_special_tokens=_FLAG),
            _object("messages", model=_TEXT, messages=_MESSAGES),
        ]
    },
    "Detokenize": _object("tokens", model=_TEXT, tokens=_list(_whole(0))),
}

ANSWERS: dict[str, Schema] = {
    "Error": _object(
        "error",
        error=_object(
            "message",
            "type",
            message=_TEXT,
            type=_TEXT,
            param={"type": ["string", "null"]},
            code={"type": ["string", "integer", "null"]},
        ),
    ),
    "Fault": _object("Message", Message=_TEXT, OriginalMessage=_TEXT, OriginalStatusCode=_whole(100, 599)),
    "Answer": _OBJECT,
    "Models": _object("data", data=_list(_object("id", id=_TEXT))),
    "Health": _object(
        "status",
        "healthy",
        status={"enum": ["ok", "unavailable"]},
        why={"type": ["string", "null"]},
        healthy={"type": "object", "additionalProperties": _whole(0)},
    ),
}
