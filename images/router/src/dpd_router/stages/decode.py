"""Sixth stage: the request a decoder gets: the client's own, untouched but for the transfer's tag."""

from dpd_router.bodies import one_token, with_params
from dpd_router.types import Call, Params, Request


def decode(request: Request, params: Params | None) -> Call:
    """Return the decode leg; without `params` it is the client's body byte for byte."""
    body = request.raw if params is None else with_params(request.raw, params)
    return Call("POST", request.target, request.headers, body)


def drain(request: Request, params: Params) -> Call:
    """Return the leg that reads a transfer nobody waits for, so that the decoder frees its pages."""
    return Call("POST", request.target, request.headers, one_token(request.body, params))
