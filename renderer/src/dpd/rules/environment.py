"""Environment variables: names Kubernetes takes and the chart does not need, one value each, no secret in the open."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown, warning
from dpd.rules import repeated

_ENV: FieldPath = ("spec", "worker", "environmentVariables")
# Since Kubernetes 1.34 for good: printable ASCII, but for what ends a name.
_NAME = re.compile(r"[ -<>-~]+\Z")
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "ACCESS_KEY")
# HF_HUB_DISABLE_IMPLICIT_TOKEN=1 is a switch. $(NAME) is what another variable holds.
_NO_SECRET = re.compile(r"(?i)(|0|1|true|false|yes|no|on|off|\$\(.*\))\Z")
_CHARTS_OWN = ("POD_IP", "POD_NAME")
_PER_ROLE = frozenset(
    f"LMCACHE_{each}"
    for each in (
        "CONFIG_FILE",
        "ENABLE_PD",
        "PD_ROLE",
        "PD_PEER_INIT_PORT",
        "PD_PEER_ALLOC_PORT",
        "PD_PROXY_HOST",
        "PD_PROXY_PORT",
        "LOCAL_CPU",
        "REMOTE_URL",
        "STORE_LOCATION",
        "STORAGE_PLUGINS",
        "EXTRA_CONFIG",
    )
)


def names_are_set_once(endpoint: Endpoint) -> Iterator[Problem]:
    """No variable is set twice."""
    for index, name, first in repeated.names(endpoint.env):
        fact = f"{shown(name)} is set twice, first in environmentVariables[{first}]"
        yield Problem((*_ENV, index, "name"), fact, "keep one of them")


def values_have_one_source(endpoint: Endpoint) -> Iterator[Problem]:
    """A variable has a value or a source, not both."""
    for index, each in enumerate(endpoint.env):
        if each.get("value") and "valueFrom" in each:
            fact = f"{shown(each.get('name', ''))} has both value and valueFrom"
            yield Problem((*_ENV, index), fact, "keep one of them")


def names_are_free(endpoint: Endpoint) -> Iterator[Problem]:
    """Nothing the chart must set itself, or must set differently for each role, is set here."""
    for index, each in enumerate(endpoint.env):
        name = each.get("name", "")
        if name in _CHARTS_OWN:
            yield Problem((*_ENV, index, "name"), f"{name} is set by the chart", "remove it")
        elif name in _PER_ROLE and endpoint.is_disaggregated:
            fact = f"{name} would be the same on both roles, and each needs its own"
            yield Problem((*_ENV, index, "name"), fact, "remove it, the chart sets it for each role")


def names_can_be_set(endpoint: Endpoint) -> Iterator[Problem]:
    """Kubernetes takes the name; of a line break at its end another rule speaks."""
    for path, variables in _lists(endpoint):
        for index, each in enumerate(variables):
            name = each.get("name")
            if name == "":
                yield Problem((*path, index, "name"), "empty, and a variable has a name", "write its name")
            elif name is not None and not _NAME.match(name.removesuffix("\n")):
                fact = f"{shown(name)} cannot name a variable: Kubernetes takes printable ASCII characters without ="
                yield Problem((*path, index, "name"), fact, "rename it")


def secrets_stay_in_secrets(endpoint: Endpoint) -> Iterator[Problem]:
    """A value that its name calls a secret is taken from a Secret."""
    for path, variables in _lists(endpoint):
        for index, each in enumerate(variables):
            name, value = each.get("name", ""), "" if "valueFrom" in each else each.get("value", "")
            if name.upper().endswith(_SECRET) and not _NO_SECRET.match(value):
                fact = (
                    f"{shown(name)} looks like a secret, and would stand as plain text in the values and in every pod"
                )
                remedy = "put it into a Secret, and take it from there with valueFrom.secretKeyRef"
                yield warning((*path, index, "value"), fact, remedy)


def _lists(endpoint: Endpoint) -> Iterator[tuple[FieldPath, Sequence[Mapping[str, Any]]]]:
    """The worker's variables, and those of the user's init containers."""
    yield _ENV, endpoint.env
    for index, each in enumerate(endpoint.part("kubernetes").get("initContainers") or []):
        yield ("spec", "kubernetes", "initContainers", index, "env"), each.get("env") or []
