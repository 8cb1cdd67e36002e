"""Counting by an engine: its `/tokenize` knows the chat template, the tools and every special token."""

from dataclasses import dataclass

import msgspec

from dpd_router.counting.guarded import CountFailedError
from dpd_router.errors import ConnectFailedError, LegDiedError
from dpd_router.pool import Worker
from dpd_router.seams import Collects
from dpd_router.strategies import Strategy
from dpd_router.types import Body, Call, Prompt, Request

PATH = "/tokenize"
_HEADERS = ((b"content-type", b"application/json"),)


class _Answer(msgspec.Struct):
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class EngineSource:
    """Asks the least busy of those that answer: decoders, or colocated workers. A prefiller is never asked anything."""

    legs: Collects
    asked: Strategy[Worker]

    async def ids(self, asked: Body, request: Request) -> list[int]:
        """Return the token ids. Raises CountFailedError."""
        workers = self.asked.rank(Prompt(0, ""), 1)
        if not workers:
            raise CountFailedError("no worker to ask")
        call = Call("POST", PATH, _HEADERS, msgspec.json.encode(asked))
        try:
            reply = await self.legs.collect(workers[0], call, request.request_id + "-count")
        except (ConnectFailedError, LegDiedError) as error:
            raise CountFailedError(f"{workers[0].name}{PATH}: {error}") from None
        if reply.status != 200:
            raise CountFailedError(f"{workers[0].name}{PATH}: status {reply.status}")
        try:
            return msgspec.json.decode(reply.body, type=_Answer).tokens
        except msgspec.MsgspecError as error:
            raise CountFailedError(f"{workers[0].name}{PATH}: {error}") from None
