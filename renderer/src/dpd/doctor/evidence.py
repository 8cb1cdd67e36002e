"""Second stop: what logs and metrics say, as numbers. Pure."""

import re
from collections.abc import Iterable, Iterator

from dpd.doctor.facts import Pod

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? ([-+.\deE]+|NaN|[+-]Inf)$", re.MULTILINE)
_DECISION = re.compile(r"Conditional routing: estimated_tokens=(\d+), threshold=(\d+), disaggregate=(True|False)")
_RETRIEVED = re.compile(r"Retrieved (\d+) out of (\d+) required tokens")
_STORED = re.compile(r"size: ([\d.]+) gb\b.{0,200}?put_time: ([\d.]+) ms", re.IGNORECASE)
_REQUEST = re.compile(r" request_id=(\S+)")
_ACCESS = " access "
_REASON = re.compile(r"request_id=(\S+) .*? reason=(\S+) ")
_CAME_UP = "worker up: "
_SEARCHED, _SHOWN = 4000, 400
"""Characters of a line: engines log prompts when they are told to, and those may be long and say anything."""
_LAST = 3
_LEAST_GB = 0.01
"""Transfers smaller than this say more of their handshake than of the wire."""


def line_with(log: str, pattern: re.Pattern[str]) -> str:
    """Return the last line of a log in whose beginning the pattern is found, cut short; empty when it never is."""
    found = ""
    for line in log.splitlines():
        if pattern.search(line[:_SEARCHED]):
            found = line.strip()
    return found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"


def first_with(pods: Iterable[Pod], pattern: re.Pattern[str]) -> str:
    """Return the first pod that logged the pattern, and the last line in which it did; empty when none did."""
    found = ((pod.name, line_with(pod.log, pattern)) for pod in pods)
    return next((f"{name}: {line}" for name, line in found if line), "")


def total(pod: Pod, name: str, label: str = "") -> float:
    """Sum a metric over its labels, of those with `label` (as it is written) alone; 0 when it is not there."""
    found = _SAMPLE.findall(pod.metrics or "")
    return sum(float(value) for each, labels, value in found if each == name and label in labels)


def has_metric(pod: Pod, prefix: str) -> bool:
    """Say whether any metric's name begins so."""
    return any(line.startswith(prefix) for line in (pod.metrics or "").splitlines())


def decisions(pod: Pod) -> Iterator[tuple[int, int, bool]]:
    """Give the estimate, the threshold and the decision of every request in a router's log."""
    for tokens, threshold, decided in _DECISION.findall(pod.log):
        yield int(tokens), int(threshold), decided == "True"


def retrieved_nothing(pod: Pod) -> str:
    """Return a decoder's last line, if that says that nothing of a prompt was retrieved."""
    found = [each for each in _RETRIEVED.finditer(pod.log) if int(each.group(2))]
    return found[-1].group(0) if found and found[-1].group(1) == "0" else ""


def computed_again(routers: tuple[Pod, ...], decoder: Pod) -> tuple[str, ...]:
    """Return the last requests of which a decoder took nothing over though a prefiller had them; empty when it did.

    Only requests count that came since the decoder was last seen to come up, whose log it is.
    """
    lines = [line for line in decoder.log.splitlines() if _RETRIEVED.search(line)]
    if lines and not any("req_id=" in line for line in lines):
        return ()
    last = _disaggregated(routers, decoder)[-_LAST:]
    return () if any(each in line for each in last for line in lines) else last


def _disaggregated(routers: tuple[Pod, ...], decoder: Pod) -> tuple[str, ...]:
    """Return the identifiers of the requests that came to a decoder after a prefiller and were answered."""
    came_up = f"worker up: role=decode worker={decoder.address}"
    found: list[str] = []
    for router in routers:
        for line in router.log.rpartition(came_up)[2].splitlines():
            if "reason=threshold" in line and f" decoder={decoder.address} " in line and "end=complete" in line:
                found += _REQUEST.findall(line)
    return tuple(found)


def reasons(router: Pod) -> Iterator[tuple[str, str]]:
    """Give identifier and reason of every request in a router's log since a worker last came up, the oldest first."""
    for line in router.log.rpartition(_CAME_UP)[2].splitlines():
        said = _REASON.match(line.partition(_ACCESS)[2])
        if said:
            yield said[1], said[2]


def transfer_speed(pod: Pod) -> float | None:
    """Return GB/s of one rank, the median of what a prefiller's log says; None when it says nothing of it."""
    pairs = [(float(size), float(cost)) for size, cost in _STORED.findall(pod.log)]
    rates = sorted(size / cost * 1000 for size, cost in pairs if size >= _LEAST_GB and cost)
    return rates[len(rates) // 2] if rates else None
