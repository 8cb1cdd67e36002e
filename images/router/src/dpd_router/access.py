"""The access log: one line for each request that has ended, or for a share of them."""

from dataclasses import dataclass
from typing import Final
from zlib import crc32

from dpd_router.ask import Ask
from dpd_router.errors import RouterError
from dpd_router.logs import Log
from dpd_router.record import Record
from dpd_router.stages.observe import access, access_line
from dpd_router.types import End, Reason, Route

_WHOLE: Final = 2**32
_FAILED: Final = 400
_COMPLETE: Final = End.COMPLETE


@dataclass(frozen=True, slots=True)
class AccessLog:
    """`sample` is the share of good requests that get a line, from 0 to 1; what did not end well always gets one."""

    log: Log
    sample: float = 1.0

    def record(self, record: Record) -> None:
        """Write a request's line, if it is among those that get one: the same in every router, by its id."""
        failed = record.end is not _COMPLETE or record.status >= _FAILED
        if failed or self.sample >= 1 or crc32(record.request_id.encode()) < self.sample * _WHOLE:
            self._write(record)

    def fetched(self, ask: Ask, status: int, size: int, worker: str) -> None:
        """Write the line of what one engine was asked for as the client asked for it, outside the path: its models."""
        self.record(
            Record(
                request_id=ask.request_id,
                method=ask.method,
                path=ask.path,
                caller=ask.caller,
                status=status,
                route=Route.DIRECT,
                reason=Reason.RELAYED,
                end=End.COMPLETE,
                decoder=worker,
                bytes_in=len(ask.body),
                bytes_out=size,
            )
        )

    def refused(self, ask: Ask | None, error: RouterError, status: int = 0) -> None:
        """Write the line of a request that the router refused; `ask` is None when its head was not read.

        `status` is what the client was told where its API has another one for this error.
        """
        end = End.REFUSED if error.status < 500 else End.UNAVAILABLE if error.status == 503 else End.ROUTER_ERROR
        self._write(
            Record(
                request_id=ask.request_id if ask else "-",
                method=ask.method if ask else "-",
                path=ask.path if ask else "-",
                caller=ask.caller if ask else "",
                status=status or error.status,
                route=Route.NONE,
                reason=Reason.INVALID,
                end=end,
                code=error.code,
                bytes_in=len(ask.body) if ask else 0,
            )
        )

    def _write(self, record: Record) -> None:
        self.log.access(record, access_line, access)
