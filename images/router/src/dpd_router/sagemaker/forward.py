"""A request of the SageMaker Runtime API, as the path takes it: whom it is for, and what an engine may see of it."""

import re

from dpd_router.api.routes import STREAMED
from dpd_router.ask import Ask
from dpd_router.sagemaker.faults import ValidationFault
from dpd_router.types import Headers

_OPERATION = re.compile(r"/endpoints/([^/]+)/(invocations|invocations-response-stream)")
_ACCEPT = b"x-amzn-sagemaker-accept"
_SIGNATURE = b"AWS4-"
# The signature and what an SDK says of itself. An answer that is compressed could not be told apart into parts.
_DROPPED = (b"x-amz-", b"amz-sdk-", b"accept-encoding")


def is_streamed(path: str) -> bool:
    """Say whether the answer is wanted as a stream of parts."""
    return path.endswith(STREAMED)


def forwarded(ask: Ask, name: str) -> Ask:
    """Return the request as the path takes it; raise ValidationFault unless it invokes the endpoint of that name."""
    found = _OPERATION.fullmatch(ask.path)
    if found is None:
        raise ValidationFault(f"{ask.path} is no operation of this API; invoke an endpoint.")
    if ask.method != "POST":
        raise ValidationFault(f"{ask.path} takes POST, not {ask.method}.")
    if found[1] != name:
        raise ValidationFault(f"Endpoint {found[1][:63]} not found; this router serves {name}.")
    headers = _headers(ask.headers)
    return Ask(ask.method, ask.path, "", headers, ask.body, ask.request_id, ask.caller, alias=True)


def _headers(headers: Headers) -> Headers:
    """Return the headers that are the model's business; Accept under its own name."""
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(_DROPPED) or (lower == b"authorization" and value.startswith(_SIGNATURE)):
            continue
        kept.append((name, value))
    wanted = [value for name, value in kept if name.lower() == _ACCEPT]
    if not wanted:
        return kept
    return [pair for pair in kept if pair[0].lower() not in (b"accept", _ACCEPT)] + [(b"accept", wanted[-1])]
