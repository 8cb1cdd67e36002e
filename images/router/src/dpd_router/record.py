"""What is known of a request that has ended: what its metrics and its line in the log are made of."""

from dpd_router.types import End, Reason, Route


class Record:
    """What one request adds to the metrics and to the access log. Times in seconds; None for what did not happen.

    `streamed`: the first byte came with the first token; of a whole answer it comes with the last one.

    `caller` is the name of its API key, `code` that of the error the router answered with; both may be empty.
    """

    def __init__(  # noqa: PLR0913 - it has as many fields
        self,
        *,
        request_id: str,
        method: str,
        path: str,
        status: int,
        route: Route,
        reason: Reason,
        end: End,
        caller: str = "",
        code: str = "",
        prefiller: str = "",
        decoder: str = "",
        duration: float = 0.0,
        ttft: float | None = None,
        streamed: bool = False,
        prefill: float | None = None,
        transfer: str | None = None,
        transfer_seconds: float | None = None,
        bytes_in: int = 0,
        bytes_out: int = 0,
    ) -> None:
        self.request_id, self.method, self.path = request_id, method, path
        self.status, self.route, self.reason, self.end = status, route, reason, end
        self.caller, self.code = caller, code
        self.prefiller, self.decoder = prefiller, decoder
        self.duration, self.ttft, self.streamed = duration, ttft, streamed
        self.prefill, self.transfer, self.transfer_seconds = prefill, transfer, transfer_seconds
        self.bytes_in, self.bytes_out = bytes_in, bytes_out
