"""Traces: a request's events told as OpenTelemetry spans, and sent on where nobody waits for it."""
