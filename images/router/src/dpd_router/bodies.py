"""Editing of request bodies that several stages need: the one-token copy, and parameters put into raw JSON."""

import json

import msgspec

from dpd_router.types import Body, Params

KEY = "kv_transfer_params"
EXTRA = "vllm_xargs"

# What would lengthen, stop or decorate an answer of which only the KV is wanted.
_DROPPED = frozenset(
    {
        "stream_options",
        "min_tokens",
        "logprobs",
        "top_logprobs",
        "prompt_logprobs",
        "stop",
        "stop_token_ids",
        "stop_sequences",
        "background",
        "include",
        "echo",
        "best_of",
        KEY,
    }
)


def encode(body: Body) -> bytes:
    """Return `body` as JSON. The standard encoder takes the rare value the fast one refuses."""
    try:
        return msgspec.json.encode(body)
    except (OverflowError, msgspec.MsgspecError):
        return json.dumps(body, separators=(",", ":")).encode()


def one_token(body: Body, params: Params) -> bytes:
    """Return a copy of `body` that yields one token, not streamed, and carries `params`; always the same prompt."""
    edited: Body = {key: value for key, value in body.items() if key not in _DROPPED}
    edited.update({"max_tokens": 1, "stream": False, "n": 1, "ignore_eos": True, KEY: params})
    if "max_completion_tokens" in edited:
        edited["max_completion_tokens"] = 1
    if "input" in edited:  # a response: its limit has another name, and there is nothing in it to be kept
        edited.update({"max_output_tokens": 1, "store": False})
    return encode(edited)


def with_params(raw: bytes, params: Params) -> bytes:
    """Return the JSON object `raw` with `params` as its first member and every other byte as it was.

    `raw` is an object, not empty, that has no such member: `accept` saw to it.
    """
    start = raw.index(b"{") + 1
    return b'%b"%b":%b,%b' % (raw[:start], KEY.encode(), msgspec.json.encode(params), raw[start:])


def stripped(body: Body) -> Body | None:
    """Return a copy without anything that steers a transfer, or None when there is no such thing in it."""
    if KEY not in body and EXTRA not in body:
        return None
    edited = {key: value for key, value in body.items() if key != KEY}
    match body.get(EXTRA):
        case dict() as extra if KEY in extra:
            edited[EXTRA] = {key: value for key, value in extra.items() if key != KEY}
            return edited
    return None if len(edited) == len(body) else edited
