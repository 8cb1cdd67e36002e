"""Sixth stage: the request a decoder gets: the client's own, untouched but for the transfer's tag."""

from dpd_router.bodies import one_token, with_params
from dpd_router.proxied import MARK
from dpd_router.types import Call, Headers, Params, Request


def decode(request: Request, params: Params | None) -> Call:
    """Return the decode leg; without `params` it is the client's body byte for byte."""
    streams = bool(request.body.get("stream"))
    if params is None:
        return Call("POST", request.target, request.headers, request.raw, streams)
    return Call("POST", request.target, _marked(request.headers, b"read"), with_params(request.raw, params), streams)


def drain(request: Request, params: Params) -> Call:
    """Return the leg that reads a transfer nobody waits for, so that the decoder frees its pages."""
    return Call("POST", request.target, _marked(request.headers, b"drain"), one_token(request.body, params))


def _marked(headers: Headers, what: bytes) -> Headers:
    return [*headers, (MARK, what)]
