"""Sixth stage: the request a decoder gets: the client's own, untouched but for the transfer's tag."""

from dpd_router.bodies import one_token, with_params
from dpd_router.types import Call, Headers, Params, Request

# Tells the decoder's own proxy that pages wait for this request, so that it is not refused there, and what it is for.
MARK = b"x-dpd-transfer"


def decode(request: Request, params: Params | None) -> Call:
    """Return the decode leg; without `params` it is the client's body byte for byte."""
    body = request.raw if params is None else with_params(request.raw, params)
    headers = _marked(request.headers, b"read" if params else None)
    return Call("POST", request.target, headers, body, streams=bool(request.body.get("stream")))


def drain(request: Request, params: Params) -> Call:
    """Return the leg that reads a transfer nobody waits for, so that the decoder frees its pages."""
    return Call("POST", request.target, _marked(request.headers, b"drain"), one_token(request.body, params))


def _marked(headers: Headers, what: bytes | None) -> Headers:
    """Return the headers with our mark, or without any: what a client says there counts for nothing."""
    kept = [each for each in headers if len(each[0]) != len(MARK) or each[0].lower() != MARK]
    return [*kept, (MARK, what)] if what else kept
