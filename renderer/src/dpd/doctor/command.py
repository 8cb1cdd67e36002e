"""What `dpd doctor` does: gathers, waits where asked to, prints; its exit code says whether something is wrong."""

import json
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from dpd.commands import BAD_USAGE, OK, UsageError, complain, print_text, tell
from dpd.doctor import cluster, local
from dpd.doctor.api import connect
from dpd.doctor.checks import Finding, examine, faults
from dpd.doctor.facts import Facts
from dpd.doctor.text import data_of, summary, text_of

FOUND = 1
_PAUSE_SECONDS = 2.0


def doctor(arguments: Namespace) -> int:
    """Look at the endpoint that the flags name and print what is wrong. Returns the exit code."""
    try:
        facts, findings = _settled(lambda: _gather(arguments), arguments.wait)
        as_json = arguments.output_format == "json"
        print_text(json.dumps(data_of(facts, findings), indent=1) + "\n" if as_json else text_of(facts, findings))
    except UsageError as error:
        complain(str(error))
        return BAD_USAGE
    return FOUND if faults(findings) else OK


def _gather(arguments: Namespace) -> Facts:
    if bool(arguments.local) == bool(arguments.name):
        raise UsageError("doctor: give the NAME of an endpoint in a cluster, or --local FOLDER of a demo, one of both")
    if arguments.key_file and not arguments.probe:
        raise UsageError("--key-file: is for --probe, which alone asks what keys open; add --probe")
    key = _key(arguments.key_file) if arguments.probe else None
    if arguments.local:
        return local.gather(Path(arguments.local), key)
    api = connect(arguments.kubeconfig, arguments.context)
    return cluster.gather(api, arguments.name, arguments.namespace, arguments.router_namespace, key)


def _key(file: str) -> str:
    """Return the API key in a file, empty without one. Raises UsageError."""
    try:
        return Path(file).read_text(encoding="ascii").strip() if file else ""
    except (OSError, UnicodeError) as error:
        fact = str(error.strerror).lower() if isinstance(error, OSError) else "is no API key"
        raise UsageError(f"{file}: {fact}; give a file that holds nothing but an API key") from None


def _settled(gather: Callable[[], Facts], seconds: float) -> tuple[Facts, tuple[Finding, ...]]:
    """Look until nothing is wrong or the time is over; say each change of what is."""
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        facts = gather()
        findings = examine(facts)
        left = deadline - time.monotonic()
        if not faults(findings) or left <= 0:
            return facts, findings
        if summary(findings) != told:
            told = summary(findings)
            tell(f"waiting, {left:.0f} s at most: {told}")
        time.sleep(min(_PAUSE_SECONDS, left))
