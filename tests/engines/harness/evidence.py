"""Fourth stop: what engines say about a transfer, in their metrics and their logs."""

import re
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable

from engines.harness.endpoint import Endpoint

RETRIEVED = re.compile(r"Retrieved (\d+) out of (\d+) required tokens")
_SAMPLE = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$")
_SOURCE = re.compile(r'source="([^"]+)"')
SOURCES = "vllm:prompt_tokens_by_source_total"
TRANSFERRED, COMPUTED = "external_kv_transfer", "local_compute"
BUFFER = "lmcache:local_cache_usage"


def samples(endpoint: Endpoint, role: str) -> list[tuple[str, str, float]]:
    """Every sample of an engine's /metrics: name, labels, value."""
    with urllib.request.urlopen(endpoint.url(role) + "/metrics", timeout=30) as reply:
        found = (_SAMPLE.match(line) for line in reply.read().decode().splitlines())
    return [(match[1], match[2] or "", float(match[3])) for match in found if match]


def total(endpoint: Endpoint, role: str, name: str) -> float:
    """The sum of a metric over its labels; 0 before its first sample."""
    return sum(value for each, _, value in samples(endpoint, role) if each == name)


def sources(endpoint: Endpoint, role: str = "decode") -> dict[str, int]:
    """Prompt tokens of an engine so far by where they came from."""
    found: dict[str, int] = defaultdict(int)
    for name, labels, value in samples(endpoint, role):
        source = _SOURCE.search(labels)
        if name == SOURCES and source:
            found[source[1]] += int(value)
    return found


def retrieved(log: str) -> list[tuple[int, int]]:
    """(got, needed) of each retrieval in a decoder's log."""
    return [(int(got), int(needed)) for got, needed in RETRIEVED.findall(log)]


def eventually(question: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes true within a time; LMCache refreshes its gauges about every ten seconds."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.25)
    return True


def buffer_empty(endpoint: Endpoint) -> bool:
    """Whether the decoder's transfer buffer holds nothing."""
    gauges = [value for name, _, value in samples(endpoint, "decode") if name == BUFFER]
    return bool(gauges) and not any(gauges)
