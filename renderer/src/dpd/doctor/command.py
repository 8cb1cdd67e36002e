"""What `dpd doctor` does: gathers, waits where asked to, prints; its exit code says whether something is wrong."""

import json
import os
import re
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from dpd.commands import BAD_USAGE, OK, UsageError, complain, print_text, tell
from dpd.doctor import cluster, local
from dpd.doctor.api import NotYetError
from dpd.doctor.checks import Finding, examine, faults
from dpd.doctor.facts import Facts
from dpd.doctor.kubeconfig import connect
from dpd.doctor.text import data_of, progress, text_of
from dpd.problems import shown

FOUND = 1
_PAUSE_SECONDS = 2.0
_MOST_KEY_BYTES = 4096
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


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
    for each in (arguments.name, arguments.namespace, arguments.router_namespace):
        if not _NAME.fullmatch(each):
            raise UsageError(f"doctor: {shown(each)} names nothing in a cluster; give a name and, with -n, a namespace")
    api = connect(arguments.kubeconfig, arguments.context)
    return cluster.gather(api, arguments.name, arguments.namespace, arguments.router_namespace, key)


def _key(file: str) -> str:
    """Return the API key in a file, empty without one. Raises UsageError."""
    remedy = "give a file that holds nothing but an API key"
    try:
        with Path(file or os.devnull).open("rb") as opened:
            key = opened.read(_MOST_KEY_BYTES).strip().decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{file}: {str(error.strerror).lower()}; {remedy}") from None
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"{file}: is no API key; {remedy}")
    return key


def _settled(gather: Callable[[], Facts], seconds: float) -> tuple[Facts, tuple[Finding, ...]]:
    """Look until nothing is wrong or the time is over; say each change of what is.

    Raises UsageError at once, but NotYetError when the time is over.
    """
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        left = deadline - time.monotonic()
        try:
            facts = gather()
            findings = examine(facts)
            said = progress(findings)
            if not said or left <= 0:
                return facts, findings
        except NotYetError as error:
            if left <= 0:
                raise
            said = str(error)
        if said != told:
            told = said
            tell(f"waiting, {left:.0f} s at most: {told}")
        time.sleep(min(_PAUSE_SECONDS, left))
