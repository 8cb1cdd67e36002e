"""What went wrong, as SageMaker Runtime tells it: which exception, with which status and members.

An engine's refusal is a ModelError that holds the engine's own words, and so is what the router refuses in the engine's
stead; the rest is the service's.
"""

from collections.abc import Mapping

import msgspec

from dpd_router.errors import RouterError
from dpd_router.types import Headers, Reply

MAX_MESSAGE = 2048  # the API's own bound on messages
_MODEL_ERROR = 424
_TIMEOUT = 504
_SERVER_ERROR = 500
_OWN = (500, 503)  # the router's own trouble, or its end: nothing is wrong with the model
# Statuses that are the service's own business; every other one is what a model might have answered.
_SERVICE = {
    401: (403, "AccessDeniedException"),
    403: (403, "AccessDeniedException"),
    429: (429, "ThrottlingException"),
    500: (500, "InternalFailure"),
    503: (503, "ServiceUnavailable"),
}


class ValidationFault(RouterError):  # noqa: N818 - the API calls it ValidationError
    """The request names what is not there, or asks for what the API does not have."""

    status = 400
    kind = "ValidationError"


def answer_to(error: RouterError, request_id: str) -> Reply:
    """Return the response that tells of an error of the router's."""
    if error.kind == ValidationFault.kind:
        return _reply(error.status, error.kind, {"Message": error.message[:MAX_MESSAGE]})
    if error.status not in _SERVICE:
        return model_error(error.status, error.body(), request_id)
    status, kind = _SERVICE[error.status]
    return _reply(status, kind, {"Message": error.message[:MAX_MESSAGE]}, error.retry_after)


def model_error(status: int, body: bytes, request_id: str) -> Reply:
    """Return the response that tells what an engine answered instead of a result."""
    words = body.decode("utf-8", "replace").strip()
    side = "server" if status >= _SERVER_ERROR else "client"
    told = f'Received {side} error ({status}) from primary with message "'
    end = f'". See the log of request {request_id} for more.'
    members = {
        "Message": told + words[: MAX_MESSAGE - len(told) - len(end)] + end,
        "OriginalMessage": words[:MAX_MESSAGE],
        "OriginalStatusCode": status,
    }
    return _reply(_MODEL_ERROR, "ModelError", members)


def in_stream(error: RouterError) -> tuple[str, Mapping[str, str]]:
    """Return the exception that ends a stream which has begun: its name and members."""
    message = error.message[:MAX_MESSAGE]
    if error.status in _OWN:
        return "InternalStreamFailure", {"Message": message}
    code = "ModelInvocationTimeExceeded" if error.status == _TIMEOUT else "StreamBroken"
    return "ModelStreamError", {"Message": message, "ErrorCode": code}


def _reply(status: int, kind: str, members: Mapping[str, object], retry_after: int | None = None) -> Reply:
    headers: Headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", kind.encode())]
    if retry_after is not None:
        headers = [*headers, (b"retry-after", b"%d" % retry_after)]
    return Reply(status, headers, msgspec.json.encode(members))
