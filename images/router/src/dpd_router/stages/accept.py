"""First stage: the body, parsed once, and nothing in it that only the router may say."""

import re
from typing import Any

import msgspec

from dpd_router.api.routes import ALIAS, RELAYED, RESPONSES
from dpd_router.ask import Ask
from dpd_router.bodies import encode, stripped
from dpd_router.errors import BadRequestError
from dpd_router.types import Body, Request

# About 200 MB as objects at the worst.
_MOST_PARTS = 1_000_000
_MOST_ITEMS = 2_000_000


def accept(ask: Ask, invocation: str) -> Request:
    """Return the request in `ask`; `invocation` is the path that `/invocations` stands for.

    Raises BadRequestError when the body is not a JSON object. A client's `kv_transfer_params` are removed; a body
    without them is passed on byte for byte.
    """
    body = _parsed(ask.body)
    clean = stripped(body)
    path = invocation if ask.alias or ask.path == ALIAS else ask.path
    return Request(
        target=path + ask.query,
        headers=ask.headers,
        body=body if clean is None else clean,
        raw=ask.body if clean is None else encode(clean),
        fan_out=_fans_out(body),
        prompt_logprobs=_wants_prompt_logprobs(body),
        request_id=ask.request_id,
        relayed=not _generates(path, body),
        stateful=path == RESPONSES and _goes_on(body),
    )


def _parsed(raw: bytes) -> Body:
    if not raw.strip():
        raise BadRequestError("The body is empty; send a JSON object with messages or a prompt.", code="empty_body")
    _check_size(raw)
    try:
        body = msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise _no_text(error.reason) from None
    except msgspec.MsgspecError as error:
        if _surrogate(raw, error):
            raise _no_text("an escape such as \\ud800 is half of a character") from None
        raise BadRequestError(f"The body is not JSON: {error}; send a JSON object.", code="invalid_json") from None
    except RecursionError:
        raise BadRequestError("The body is nested too deeply; send fewer levels.", code="invalid_json") from None
    if not isinstance(body, dict) or not body:
        raise BadRequestError(
            "The body is not a JSON object with members; send messages or a prompt.", code="invalid_json"
        )
    return body


def _check_size(raw: bytes) -> None:
    """Refuse what would take many times its bytes as objects, and seconds to read; counting takes milliseconds.

    What stands in strings is counted, too: a prompt of a million tokens has far fewer of these characters.
    """
    if len(raw) <= min(_MOST_PARTS, _MOST_ITEMS):
        return
    if sum(map(raw.count, (b"{", b"[", b":"))) > _MOST_PARTS or raw.count(b",") > _MOST_ITEMS:
        fact = f"more than {_MOST_PARTS} members and lists, or {_MOST_ITEMS} items"
        raise BadRequestError(f"The body holds {fact}; send text as one string.", code="too_many_parts")


def _no_text(fact: str) -> BadRequestError:
    return BadRequestError(f"The body is not valid Unicode text: {fact}; send UTF-8.", code="invalid_json")


# The parser that meets half of a character near the end looks for the other half, and finds the end instead.
_HALF_AT_END = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9a-fA-F]{2}.{0,5}\Z", re.DOTALL)


def _surrogate(raw: bytes, error: Exception) -> bool:
    """Say whether what the parser met is half of a character; looks at the end of `raw` only, however long it is."""
    return "surrogate" in str(error) or _HALF_AT_END.search(raw[-64:]) is not None


def _generates(path: str, body: Body) -> bool:
    """Say whether the body holds a prompt to be answered; a response's stands under `input`, as an embedding's does."""
    if path == RESPONSES:
        return "input" in body
    return path not in RELAYED and ("messages" in body or "prompt" in body)


def _goes_on(body: Body) -> bool:
    """Say whether a response needs what one engine keeps: an earlier one, or a place for itself to be fetched from."""
    return any(body.get(key) for key in ("previous_response_id", "background"))


def _fans_out(body: Body) -> bool:
    """Say whether the engine makes several requests of this one; only the first of them would find the pages."""
    several = _number(body.get("n")) > 1 or _number(body.get("best_of")) > 1
    return several or bool(body.get("use_beam_search")) or _prompts(body.get("prompt")) > 1 or _uses_own_tools(body)


def _uses_own_tools(body: Body) -> bool:
    """Say whether a response may call tools of the engine's own, each of which makes a further request."""
    match body:
        case {"input": _, "tools": list() as tools}:
            return any(not _is_function(tool) for tool in tools)
        case _:
            return False


def _is_function(tool: Any) -> bool:
    match tool:
        case {"type": "function"}:
            return True
        case _:
            return False


def _prompts(prompt: Any) -> int:
    """Count the prompts of a completions request: a list of numbers is one prompt, any other list is several."""
    match prompt:
        case [int(), *_] | [] | None:
            return 1
        case list():
            return len(prompt)
        case _:
            return 1


def _number(value: Any) -> float:
    match value:
        case int() | float():
            return value
        case str() if value.strip().isdecimal():  # engines read "2" as 2
            return int(value[:9])
        case _:
            return 0


def _wants_prompt_logprobs(body: Body) -> bool:
    """Say whether the answer holds logprobs of the prompt, which only an engine that computed it can give."""
    if body.get("prompt_logprobs") is not None:
        return True
    return bool(body.get("echo")) and (body.get("logprobs") is not None or body.get("top_logprobs") is not None)
