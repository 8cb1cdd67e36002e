"""worker.probes: a sender that gets a generation request without a transfer dies of it."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint, Tree
from dpd.problems import FieldPath, Problem

_PROBES: FieldPath = ("spec", "worker", "probes")
_GENERATES = re.compile(r"/(chat/)?completions|/invocations|/generate|/v1/(responses|messages|embeddings)|max_tokens")


def probes_generate_nothing(endpoint: Endpoint) -> Iterator[Problem]:
    """Under pdSpec no probe asks the engine for tokens."""
    if not endpoint.is_disaggregated:
        return
    for name, probe in endpoint.part("worker", "probes").items():
        for way, text in _targets(probe):
            if _GENERATES.search(text):
                fact = "sends a generation request, and an engine in the prefill role stops at one without a transfer"
                yield Problem((*_PROBES, name, way), fact, "probe a health path instead, as in httpGet path /health")


def _targets(probe: Tree) -> Iterator[tuple[str, str]]:
    if probe.get("httpGet"):
        yield "httpGet", probe["httpGet"].get("path") or ""
    if probe.get("exec"):
        yield "exec", " ".join(probe["exec"].get("command") or [])
