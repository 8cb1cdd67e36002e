"""metadata.name: everything of an endpoint is named after it, and Kubernetes limits what those names may be."""

import re
from collections.abc import Iterator

from dpd.document import walk
from dpd.endpoint import DEFAULT_NAMESPACE, Endpoint
from dpd.problems import FieldPath, Problem, shown

_LONGEST = 63
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_NAME: FieldPath = ("metadata", "name")
_NAMESPACE: FieldPath = ("metadata", "namespace")


def names(endpoint: Endpoint) -> Iterator[Problem]:
    """The name is a DNS label a Service may carry, and no name derived from it is too long."""
    if endpoint.name and not _LABEL.match(endpoint.name):
        fact = f"{shown(endpoint.name)} cannot name a Service"
        yield Problem(_NAME, fact, "use lower-case letters, digits and dashes, beginning with a letter")
    if endpoint.namespace and not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", endpoint.namespace):
        remedy = "use lower-case letters, digits and dashes"
        yield Problem(_NAMESPACE, f"{shown(endpoint.namespace)} cannot name a namespace", remedy)
    longest = _longest_name(endpoint)
    over = len(longest) - _LONGEST
    if endpoint.name and over > 0:
        fact = f"makes the Service name {longest} {len(longest)} characters long, {_LONGEST} are allowed"
        yield Problem(_NAME, fact, f"shorten name or namespace by {over} character{'' if over == 1 else 's'}")


def names_end_on_their_line(endpoint: Endpoint) -> Iterator[Problem]:
    """A block (`key: |`) ends with a line break, which no name may hold, and which is hard to see."""
    for path, value in walk(endpoint.spec, ("spec",)):
        if path and str(path[-1]).casefold().endswith("name") and isinstance(value, str) and value.endswith("\n"):
            yield Problem(path, f"{shown(value)} ends with a line break", "write it behind its key, without | or >")


def _longest_name(endpoint: Endpoint) -> str:
    if endpoint.has_router:
        return f"{endpoint.name}-{endpoint.namespace or DEFAULT_NAMESPACE}-routing-service"
    return endpoint.name
