"""What an engine with a pooling model serves: embeddings, scores and ranks, made up but the same in every engine."""

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from dpd_sim.core import tokenizer
from dpd_sim.http.errors import ApiError

DIMENSIONS = 8
Body = dict[str, Any]


def embeddings(body: Mapping[str, Any], model: str) -> Body:
    """The answer to an embedding request. Raises ApiError."""
    found = _inputs(body.get("input"))
    data = [{"object": "embedding", "index": at, "embedding": vector(text)} for at, text in enumerate(found)]
    return {"object": "list", "model": model, "data": data, "usage": _usage(found)}


def scores(body: Mapping[str, Any], model: str) -> Body:
    """The answer to a score request: one text against each other, or pair by pair. Raises ApiError."""
    one, other = _texts(body.get("text_1"), "text_1"), _texts(body.get("text_2"), "text_2")
    if len(one) not in (1, len(other)):
        raise ApiError("Input lengths must be either 1:1, 1:N or N:N", param="text_1")
    pairs = [(one[0] if len(one) == 1 else one[at], text) for at, text in enumerate(other)]
    data = [{"object": "score", "index": at, "score": _score(*pair)} for at, pair in enumerate(pairs)]
    return {"object": "list", "model": model, "data": data, "usage": _usage([*one, *other])}


def ranks(body: Mapping[str, Any], model: str) -> Body:
    """The answer to a rerank request, best first. Raises ApiError."""
    query = body.get("query")
    if type(query) is not str:
        raise ApiError("query: a text is required", param="query")
    documents = _texts(body.get("documents"), "documents")
    found = sorted(enumerate(documents), key=lambda each: (-_score(query, each[1]), each[0]))
    most = body.get("top_n") or len(found)
    if type(most) is not int or most < 0:
        raise ApiError("top_n: a whole number is required", param="top_n")
    results = [
        {"index": at, "document": {"text": text}, "relevance_score": _score(query, text)} for at, text in found[:most]
    ]
    return {"model": model, "usage": _usage([query, *documents]), "results": results}


def vector(text: str) -> list[float]:
    """A direction for a text."""
    raw = [byte - 127.5 for byte in blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIMENSIONS).digest()]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def _score(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(vector(one), vector(other), strict=True))


def _inputs(given: Any) -> list[str]:
    match given:
        case [int(), *_]:
            return [_spelled(given)]
        case [list(), *_]:
            return [_spelled(each) for each in given]
        case _:
            return _texts(given, "input")


def _spelled(tokens: Any) -> str:
    if type(tokens) is not list or not all(type(token) is int and token >= 0 for token in tokens):
        raise ApiError("input: token ids must be integers", param="input")
    return tokenizer.decode(tokens)


def _texts(given: Any, name: str) -> list[str]:
    texts = [given] if type(given) is str else given
    if type(texts) is not list or not texts or not all(type(text) is str for text in texts):
        raise ApiError(f"{name}: a text or a list of texts is required", param=name)
    return texts


def _usage(texts: list[str]) -> Body:
    count = sum(len(tokenizer.encode(text)) for text in texts)
    return {"prompt_tokens": count, "total_tokens": count, "completion_tokens": 0, "prompt_tokens_details": None}
