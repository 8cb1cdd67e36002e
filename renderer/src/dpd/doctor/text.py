"""Last stop: the findings as people read them, and as data."""

import textwrap
from dataclasses import asdict
from typing import Any

from dpd.doctor.checks import FAULT, SKIPPED, Finding, faults
from dpd.doctor.facts import Facts

_WIDTH = 100


def text_of(facts: Facts, findings: tuple[Finding, ...]) -> str:
    """Return a line for each check, and below one that failed what was seen and what to do."""
    width = max(len(each.name) for each in findings) + 2
    lines = [f"{facts.endpoint}: {len(facts.pods)} pods"]
    for each in findings:
        lines.append(f"{each.verdict:<8}{each.name:<{width}}{each.title}")
        lines += _below("seen", each.seen) + _below("remedy", each.remedy)
    if facts.unasked:
        lines.append(f"not asked for /health and /metrics, so nothing was seen there: {', '.join(facts.unasked)}")
    return "\n".join([*lines, summary(findings)]) + "\n"


def data_of(facts: Facts, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        "endpoint": facts.endpoint,
        "healthy": not faults(findings),
        "faults": [each.name for each in faults(findings)],
        "unasked": list(facts.unasked),
        "checks": [asdict(each) for each in findings],
    }


def summary(findings: tuple[Finding, ...]) -> str:
    """Return how many checks found something, and which."""
    names = [each.name for each in findings if each.verdict == FAULT]
    made = sum(each.verdict != SKIPPED for each in findings)
    faulty = "1 fault" if len(names) == 1 else f"{len(names)} faults"
    return f"{faulty}: {', '.join(names)}" if names else f"{made} checks, nothing is wrong"


def progress(findings: tuple[Finding, ...]) -> str:
    """Return what is waited for on one line, with what was seen; empty when nothing is wrong."""
    seen = [f"{each.name} ({each.seen})" for each in faults(findings)]
    return f"{summary(findings).partition(':')[0]}: {', '.join(seen)}" if seen else ""


def _below(label: str, said: str) -> list[str]:
    first = f"        {label:<8}"
    return textwrap.wrap(said, _WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)
