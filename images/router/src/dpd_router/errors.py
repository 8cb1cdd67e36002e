"""What can go wrong with a request, as the client is told it: a status and an OpenAI-shaped body."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: where, what, and what to do about it."""

    path: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.fact}; {self.remedy}"


class ConfigInvalidError(Exception):
    """The configuration cannot be used; `problems` holds everything wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class RouterError(Exception):
    """A request the router answers by itself. Subclasses fix the HTTP status and OpenAI's error type."""

    status = 500
    kind = "internal_error"

    def __init__(
        self, message: str, *, code: str = "", retry_after: int | None = None, allow: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.kind
        self.retry_after = retry_after
        self.allow = allow

    def body(self) -> bytes:
        """Return the JSON body OpenAI's clients expect of an error."""
        return error_body(self.message, self.kind, self.code)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of the answer, without those that frame it."""
        headers = [(b"content-type", b"application/json")]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.allow:
            headers.append((b"allow", ", ".join(self.allow).encode()))
        return headers


class BadRequestError(RouterError):
    """The request cannot be understood."""

    status = 400
    kind = "invalid_request_error"


class UnauthorizedError(RouterError):
    """The request holds no key that is known."""

    status = 401
    kind = "authentication_error"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of the answer, with the way to identify oneself."""
        return [*super().headers(), (b"www-authenticate", b'Bearer realm="dpd"')]


class TooManyRequestsError(RouterError):
    """The key's rate is used up."""

    status = 429
    kind = "rate_limit_error"


class NotFoundError(RouterError):
    """Nothing is served at this path."""

    status = 404
    kind = "not_found_error"


class MethodNotAllowedError(RouterError):
    """The path exists, the method does not."""

    status = 405
    kind = "invalid_request_error"


class RequestTimeoutError(RouterError):
    """The client did not send its request in time."""

    status = 408
    kind = "timeout_error"


class BodyTooLargeError(RouterError):
    """The body exceeds `limits.bodyBytes`."""

    status = 413
    kind = "invalid_request_error"


class HeadTooLargeError(RouterError):
    """The request line and headers exceed `limits.headBytes`."""

    status = 431
    kind = "invalid_request_error"


class UpstreamFailedError(RouterError):
    """An engine took the request and broke off before it answered; it is not sent again."""

    status = 502
    kind = "upstream_error"


class UpstreamLateError(RouterError):
    """An engine took the request and did not answer it in time."""

    status = 504
    kind = "timeout_error"


class UnavailableError(RouterError):
    """No worker can take the request now."""

    status = 503
    kind = "service_unavailable_error"


class ConnectFailedError(Exception):
    """No byte of the leg left the router: it may be sent elsewhere."""


class LegDiedError(Exception):
    """The engine may have received the leg and did not answer it whole: it must not be sent there again.

    `told`: the client has been given part of the answer. `late`: the engine was given up waiting for.
    """

    def __init__(self, why: str, *, told: bool = False, late: bool = False) -> None:
        super().__init__(why)
        self.told = told
        self.late = late


def error_body(message: str, kind: str, code: str) -> bytes:
    """Return an OpenAI-shaped error as JSON."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


class _Inner(msgspec.Struct):
    message: str


class _Shaped(msgspec.Struct):
    error: _Inner


def shaped(status: int, body: bytes) -> bytes | None:
    """Return an engine's error as OpenAI's clients expect it, None when it is in that shape already.

    What the engine says is kept, whether it comes as vLLM's older `message`, as a framework's `detail`, or as a page.
    """
    try:
        msgspec.json.decode(body, type=_Shaped)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return error_body(
            _said(body) or f"The engine answered {status}.", _KINDS.get(status, _kind(status)), str(status)
        )
    return None


_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


_MOST_SAID = 4096


def _kind(status: int) -> str:
    return UpstreamFailedError.kind if status >= 500 else BadRequestError.kind


def _said(body: bytes) -> str:
    """Return the message in an error's body, empty when there is none to find."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = body[:_MOST_SAID].decode(errors="replace").strip()
        return "" if text.startswith("<") else text  # a proxy's page tells a reader nothing
    match document:
        case {"message": str() as text} | {"detail": str() as text} | {"error": str() as text}:
            return text
        case {"detail": other}:
            return msgspec.json.encode(other).decode()
    return ""
