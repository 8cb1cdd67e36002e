"""What is served where: the one table behind the dispatch, the OpenAPI document, the metrics' labels and docs/api.md.

A path that is not in it is a 404, whatever an engine would do with it: engines serve paths that load adapters, put the
model to sleep or run code, and none of them asks who calls.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ALIAS: Final = "/invocations"
ENDPOINTS: Final = "/endpoints/"
STREAMED = "/invocations-response-stream"
RESPONSES: Final = "/v1/responses"
MODELS = "/v1/models"
METRICS = "/metrics"
OPENAPI = "/openapi.json"


class Kind(StrEnum):
    """What becomes of a request: PATH may use a prefiller, RELAY goes to one worker as it is, LIST may be asked of any
    worker and again of the next, OWN is answered by the router itself. INVOKE is PATH in the words of SageMaker's API.
    """

    PATH = "path"
    RELAY = "relay"
    LIST = "list"
    OWN = "own"
    INVOKE = "invoke"


@dataclass(frozen=True, slots=True)
class Served:
    """One row. `schema` names the request's schema, empty for none; `open` routes ask for no API key."""

    path: str
    kind: Kind
    summary: str
    schema: str = ""
    open: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods taken: POST for what has a body, GET and HEAD for what has none."""
        return _READ if self.kind in (Kind.LIST, Kind.OWN) else _SENT


_READ, _SENT = ("GET", "HEAD"), ("POST",)


TABLE = (
    Served("/v1/chat/completions", Kind.PATH, "A chat completion.", "Chat"),
    Served("/v1/completions", Kind.PATH, "A completion of one prompt or of several.", "Completion"),
    Served(RESPONSES, Kind.PATH, "A response, in OpenAI's newer form.", "Response"),
    Served("/v1/messages", Kind.PATH, "A message, in Anthropic's form.", "Message"),
    Served("/v1/messages/count_tokens", Kind.RELAY, "The length of a message's prompt.", "MessageCount"),
    Served("/v1/embeddings", Kind.RELAY, "Embeddings; for engines that serve such a model.", "Embedding"),
    Served("/score", Kind.RELAY, "Scores of pairs of texts.", "Score"),
    Served("/v1/score", Kind.RELAY, "The same.", "Score"),
    Served("/rerank", Kind.RELAY, "Documents ordered by a query.", "Rerank"),
    Served("/v1/rerank", Kind.RELAY, "The same, in Jina's form.", "Rerank"),
    Served("/v2/rerank", Kind.RELAY, "The same, in Cohere's form.", "Rerank"),
    Served("/tokenize", Kind.RELAY, "Token ids of a prompt or of messages.", "Tokenize"),
    Served("/detokenize", Kind.RELAY, "Text of token ids.", "Detokenize"),
    Served(MODELS, Kind.LIST, "The models the engines serve."),
    Served("/health", Kind.OWN, "200 while a prompt can be answered, else 503 and why.", open=True),
    Served("/ping", Kind.OWN, "The same, as SageMaker asks it.", open=True),
    Served(METRICS, Kind.OWN, "Prometheus metrics, unless they have a port of their own.", open=True),
    Served(OPENAPI, Kind.OWN, "This description.", open=True),
)
RELAYED = frozenset(row.path for row in TABLE if row.kind is Kind.RELAY)
TAKEN = frozenset(row.path for row in TABLE if row.kind in (Kind.LIST, Kind.OWN))
"""Paths that cannot be an endpoint's own: something else is answered there."""


# Of a name that is not this endpoint's: SageMaker's API refuses it in words of its own.
_OTHER_ENDPOINT = Served(ENDPOINTS, Kind.INVOKE, "An endpoint that is not here.")


def invocations(name: str) -> tuple[Served, ...]:
    """Return the rows of SageMaker's API for an endpoint's name; none for no name."""
    whole = Served(f"{ENDPOINTS}{name}/invocations", Kind.INVOKE, "SageMaker's InvokeEndpoint.", "Any")
    streamed = Served(f"{ENDPOINTS}{name}{STREAMED}", Kind.INVOKE, "InvokeEndpointWithResponseStream.", "Any")
    return (whole, streamed) if name else ()


class Routes:
    """The table of one endpoint: with its invocation path and its name in SageMaker's API, with metrics or without."""

    def __init__(self, invocation: str, *, metrics: bool = True, sagemaker: str = "") -> None:
        rows = {row.path: row for row in TABLE if metrics or row.path != METRICS}
        own = Served(invocation, Kind.PATH, "The endpoint's own path: a chat or a completion, as the body is.", "Any")
        own = rows.setdefault(invocation, own)
        rows[ALIAS] = Served(ALIAS, own.kind, f"What {invocation} is.", own.schema) if invocation != ALIAS else own
        rows |= {row.path: row for row in invocations(sagemaker)}
        self._rows = rows
        self._rest = _OTHER_ENDPOINT if sagemaker else None

    @classmethod
    def of_metrics(cls) -> "Routes":
        """Return the table of the metrics' own port, where the kubelet's probes are answered too."""
        made = cls(ALIAS)
        made._rows = {path: made._rows[path] for path in (METRICS, "/health")}
        return made

    def find(self, path: str) -> Served | None:
        """Return the row of a path, None for what is not served."""
        return self._rows.get(path) or (self._rest if path.startswith(ENDPOINTS) else None)

    def __iter__(self) -> Iterator[Served]:
        return iter(self._rows.values())

    @property
    def paths(self) -> frozenset[str]:
        """Every path that is served."""
        return frozenset(self._rows)
