"""Traces: a request's events told as OpenTelemetry spans, and sent on where nobody waits for it."""

from dpd_router.tracing.assembly import Tracing, tracing_of
from dpd_router.tracing.tracer import Off, Tracer, Traces

__all__ = ["Off", "Tracer", "Traces", "Tracing", "tracing_of"]
