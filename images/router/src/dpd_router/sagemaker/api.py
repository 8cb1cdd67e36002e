"""What is served under `/endpoints/`: invocations of the one endpoint whose name the configuration gives."""

from dataclasses import dataclass

from dpd_router.errors import RouterError
from dpd_router.path import Path
from dpd_router.sagemaker.answer import Invocation
from dpd_router.sagemaker.forward import forwarded, is_streamed
from dpd_router.wire.exchange import Answering, Exchange


@dataclass(frozen=True, slots=True)
class Runtime:
    """Answers invocations of the endpoint called `name`."""

    name: str
    path: Path[Answering]

    async def serve(self, exchange: Exchange) -> None:
        """Answer one exchange. What is refused before the path, and the router's own mistakes, are raised once told."""
        invocation = Invocation(exchange, streamed=is_streamed(exchange.ask.path))
        try:
            if exchange.refusal is not None:
                raise exchange.refusal
            ask = forwarded(exchange.ask, self.name)
            await self.path.serve(ask, invocation)
        except RouterError as error:
            invocation.refuse(error)
            raise
        except Exception:
            invocation.refuse(RouterError("The router failed on this request.", code="internal_error"))
            raise
