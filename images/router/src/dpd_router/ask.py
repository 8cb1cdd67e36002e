"""What a client asks for, whole, and what its head alone decides.

Plain data, as in `types`; but what every request is asked a dozen times for is written so that the image can have it
compiled (docs/architecture.md, decision 42), and reading it is no lookup by name.
"""

from typing import Final

from dpd_router.errors import RouterError
from dpd_router.types import Headers


class Ask:
    """One downstream request, whole. `path` has no query; `query` is empty or begins with `?`.

    `caller` is the name of its API key, empty when none was asked for. `alias` is whether the path only stands for the
    invocation path.
    """

    __slots__ = ("alias", "body", "caller", "headers", "method", "path", "query", "request_id")

    def __init__(  # noqa: PLR0913 - it has as many fields
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes,
        request_id: str,
        caller: str = "",
        *,
        alias: bool = False,
    ) -> None:
        self.method: Final = method
        self.path: Final = path
        self.query: Final = query
        self.headers: Final = headers
        self.body: Final = body
        self.request_id: Final = request_id
        self.caller: Final = caller
        self.alias: Final = alias

    def under(self, headers: Headers) -> "Ask":
        """Return the same request with other headers."""
        return Ask(
            self.method, self.path, self.query, headers, self.body, self.request_id, self.caller, alias=self.alias
        )


class Admission:
    """What a request's head alone decides: the headers that go on, who calls, the longest body, or why not at all.

    `body_bytes` is None for the configured limit.
    """

    __slots__ = ("body_bytes", "caller", "headers", "refusal")

    def __init__(
        self, headers: Headers, caller: str = "", body_bytes: int | None = None, refusal: RouterError | None = None
    ) -> None:
        self.headers: Final = headers
        self.caller: Final = caller
        self.body_bytes: Final = body_bytes
        self.refusal: Final = refusal
