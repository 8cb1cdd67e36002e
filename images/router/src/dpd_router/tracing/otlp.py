"""Spans in OpenTelemetry's protocol. Loaded only where there are traces: nobody else needs these modules."""

from collections.abc import Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Told

from dpd_router.tracing.context import Context
from dpd_router.tracing.spans import Attributes, Span

CONTENT_TYPE = "application/x-protobuf"
_NANO = 1_000_000_000


class Message:
    """One message of the protocol, as it grows. `resource` says who tells."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        self._request = ExportTraceServiceRequest()
        whole = self._request.resource_spans.add()
        whole.resource.attributes.extend(_pairs(dict(resource)))
        self._scope: ScopeSpans = whole.scope_spans.add()
        self._scope.scope.name = "dpd_router"

    def add(self, place: Context, spans: list[Span], epoch: float) -> None:
        """Add the spans of one request; `epoch` is the clock of 1970 when theirs is 0, in seconds."""
        for span in spans:
            self._tell(self._scope.spans.add(), place, span, epoch)

    def encoded(self) -> bytes:
        """Return the message as bytes."""
        message: bytes = self._request.SerializeToString()
        return message

    def _tell(self, told: Told, place: Context, span: Span, epoch: float) -> None:
        told.trace_id, told.span_id = bytes.fromhex(place.trace_id), bytes.fromhex(span.span_id)
        told.parent_span_id = bytes.fromhex(span.parent)
        told.trace_state, told.flags = place.state, int(place.sampled)
        told.name = span.name
        told.kind = Told.SPAN_KIND_CLIENT if span.leg else Told.SPAN_KIND_INTERNAL
        if span.span_id == place.span_id:
            told.kind = Told.SPAN_KIND_SERVER
        told.start_time_unix_nano, told.end_time_unix_nano = _nano(span.start, epoch), _nano(span.end, epoch)
        told.attributes.extend(_pairs(span.attributes))
        for name, at, attributes in span.notes:
            told.events.add(name=name, time_unix_nano=_nano(at, epoch), attributes=_pairs(attributes))
        if span.error is not None:
            told.status.code, told.status.message = Status.STATUS_CODE_ERROR, span.error


def _nano(at: float, epoch: float) -> int:
    return round((at + epoch) * _NANO)


def _pairs(attributes: Attributes | dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: str | int | float | bool) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(string_value=value)
