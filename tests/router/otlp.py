"""A receiver of traces: what is posted to it is decoded with OpenTelemetry's own messages."""

import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from router.rig import Engine, Up

TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Told:
    """One span as the receiver read it; `error` is None when it did not fail."""

    name: str
    trace: str
    id: str
    parent: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    error: str | None
    state: str
    notes: list[tuple[str, dict[str, Any]]]


@dataclass
class Receiver:
    """Where traces go. `answers` are given in turn, the last one again and again."""

    engine: Engine
    answers: list[bytes] = field(default_factory=lambda: [TAKEN])
    messages: list[ExportTraceServiceRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.engine.port}"

    @property
    def spans(self) -> list[Told]:
        """Every span there is, in the order they came."""
        scopes = [scope for each in self.messages for whole in each.resource_spans for scope in whole.scope_spans]
        return [told(span) for scope in scopes for span in scope.spans]

    @property
    def resource(self) -> dict[str, Any]:
        return values(self.messages[0].resource_spans[0].resource.attributes)

    def of(self, trace: str) -> dict[str, Told]:
        """The spans of one trace by their names; there is one of each."""
        found = [each for each in self.spans if each.trace == trace]
        named = {each.name: each for each in found}
        assert len(named) == len(found), [each.name for each in found]
        return named

    async def take(self, seen, reader, writer) -> None:
        assert seen.path == "/v1/traces"
        assert b"\r\ncontent-type: application/x-protobuf\r\n" in seen.head.lower()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == TAKEN:
            packed = b"\r\ncontent-encoding: gzip\r\n" in seen.head.lower()
            body = gzip.decompress(seen.body) if packed else seen.body
            self.messages.append(ExportTraceServiceRequest.FromString(body))
        writer.write(answer)


def tracing(to: Receiver, **more) -> dict[str, Any]:
    """The router's section for traces of every request."""
    return {"endpoint": to.url, "ratio": 1, **more}


def outcomes(up: Up) -> dict[str, int]:
    """What became of a router's traces."""
    sender = up.router.tracing.sender
    assert sender is not None
    return sender.outcomes


def told(span: Span) -> Told:
    return Told(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=values(span.attributes),
        error=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        state=span.trace_state,
        notes=[(each.name, values(each.attributes)) for each in span.events],
    )


def values(pairs) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs}


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver(Engine())
    made.engine.script = made.take
    await made.engine.open()
    try:
        yield made
    finally:
        await made.engine.close()
