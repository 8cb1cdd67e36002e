"""Fourth stage: the request a prefiller gets. It asks for one token and says where the KV goes."""

from dpd_router.bodies import one_token
from dpd_router.types import Call, Params, Request


def prefill(request: Request, params: Params) -> Call:
    """Return the prefill leg: the client's prompt, one token, not streamed, with the transfer's `params`."""
    return Call("POST", request.target, request.headers, one_token(request.body, params))
