"""First decision: a stored object becomes a plan (one Helm release and its values), or problems for people to mend.

The renderer's own package checks and renders, so what runs here is what `dpd render` would have written.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpd.checks import check_document
from dpd.contract import Contract
from dpd.document import Document
from dpd.endpoint import Endpoint
from dpd.problems import ordered
from dpd.render import header, values
from dpd.yamlout import write
from dpd_operator.core.objects import Key, Tree, key_of

_LONGEST_RELEASE = 53
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall be installed: the release, its values as YAML, and one word for all that it is made from."""

    key: Key
    release: str
    values: str
    digest: str
    endpoint: Endpoint
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a manifest cannot be rendered: path, fact and remedy of every problem."""

    key: Key
    problems: tuple[str, ...]


class Planner:
    """Makes plans for one chart and one set of further values."""

    def __init__(self, contract: Contract, made_from: str) -> None:
        """Take the contract, and one word for the chart and the values that every release shares."""
        self._contract = contract
        self._made_from = made_from

    def plan(self, body: Tree) -> Plan | Refusal:
        """Return the plan for a stored object, or what is wrong with it. The same object always gives the same plan."""
        key = key_of(body)
        found, endpoint = check_document(Document(_manifest(body), line=1), self._contract)
        problems = ordered(found)
        refused = tuple(each.text for each in problems if each.is_error)
        if refused or endpoint is None:
            return Refusal(key, refused)
        text = write(header(endpoint, "values.yaml"), values(endpoint, self._contract.spec_keys))
        digest = hashlib.sha256(f"{self._made_from}\n{text}".encode()).hexdigest()[:_DIGEST]
        warnings = tuple(each.text for each in problems if not each.is_error)
        return Plan(key, release_name(key), text, digest, endpoint, warnings)


def release_name(key: Key) -> str:
    """Return the name of an endpoint's release: all releases lie in one namespace, so it carries the endpoint's own."""
    name = f"{key.name}.{key.namespace}"
    if len(name) <= _LONGEST_RELEASE:
        return name
    word = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_RELEASE - _DIGEST - 1].rstrip('.-')}-{word}"


def _manifest(body: Tree) -> Mapping[str, Any]:
    """The object without what the API server and we ourselves have written into it."""
    metadata = body["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if metadata.get(key)}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": kept, "spec": body.get("spec")}
