"""One captured invocation as a line of JSON, in the words of SageMaker's data capture. No I/O.

The proxy hands over raw bytes and what it knows of them, as headers; text stays text where the manifest says so of its
content type, and everything else is base64.
"""

import base64
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True, slots=True)
class Texts:
    """Content types whose payloads are stored as text: JSON's and CSV's, in lower case and without parameters."""

    json: Collection[str] = ()
    csv: Collection[str] = ()

    def encoding(self, content_type: str, content_encoding: str) -> str:
        """Return JSON, CSV or BASE64. What is compressed is no text, whatever its type."""
        kind = content_type.partition(";")[0].strip().lower()
        if content_encoding.strip().lower() in ("", "identity"):
            for name, kinds in (("JSON", self.json), ("CSV", self.csv)):
                if kind in kinds:
                    return name
        return "BASE64"


@dataclass(frozen=True, slots=True)
class Captured:
    """What the proxy sent: `facts` by lower-case name, and the two payloads as far as they were kept."""

    facts: Mapping[str, str]
    payload: bytes

    @property
    def began(self) -> datetime:
        """When the invocation began."""
        return datetime.fromtimestamp(float(self.facts["record-time"]), timezone.utc)  # noqa: UP017 - Python 3.10

    def side(self, name: str, mode: str, kept: bytes, texts: Texts) -> dict[str, Any]:
        """Return endpointInput or endpointOutput. What was cut off is said beside it."""
        content_type = self.facts.get(f"{name}-type", "")
        data, encoding = _written(kept, texts.encoding(content_type, self.facts.get(f"{name}-encoding", "")))
        told: dict[str, Any] = {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
        size = int(self.facts.get(f"{name}-size", -1))
        is_cut_off = name == "output" and self.facts.get("output-whole") != "true"
        if size != len(kept) or is_cut_off:
            told |= {"truncated": True} | ({"sizeBytes": size} if size >= 0 and not is_cut_off else {})
        return told


def line(captured: Captured, texts: Texts, pod: str) -> bytes:
    """Return the record, ended by a line feed. Raises ValueError and KeyError for what no proxy of ours sends."""
    facts = captured.facts
    parts = {}
    at = 0
    for name, mode in (("input", "INPUT"), ("output", "OUTPUT")):
        if f"{name}-kept" in facts or f"{name}-wanted" in facts:
            end = at + int(facts.get(f"{name}-kept", 0))
            parts[f"endpoint{name.title()}"] = captured.side(name, mode, captured.payload[at:end], texts)
            at = end
    if at != len(captured.payload):
        raise ValueError(f"{len(captured.payload)} bytes came, and {at} were announced")
    event: dict[str, Any] = {
        "eventId": str(uuid.uuid4()),
        "inferenceTime": captured.began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "statusCode": int(facts["record-status"]),
        "path": facts["record-path"],
        "podName": pod,
    }
    for key, name in (("inferenceId", "inference-id"), ("requestId", "request-id")):
        if facts.get(name):
            event[key] = facts[name]
    if facts.get("custom-attributes"):
        event["customAttributes"] = [facts["custom-attributes"]]
    record = {"captureData": parts, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _written(payload: bytes, encoding: str) -> tuple[str, str]:
    """Return the payload as JSON can hold it; what claims to be text and is none becomes base64."""
    if encoding != "BASE64":
        try:
            return payload.decode(), encoding
        except UnicodeDecodeError:
            pass
    return base64.b64encode(payload).decode(), "BASE64"
