"""worker.environmentVariables: one value per name, and no name the chart needs for itself."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown

_ENV: FieldPath = ("spec", "worker", "environmentVariables")
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
    first: dict[str, int] = {}
    for index, each in enumerate(endpoint.env):
        name = each.get("name", "")
        if name in first:
            fact = f"{shown(name)} is set twice, first in environmentVariables[{first[name]}]"
            yield Problem((*_ENV, index, "name"), fact, "keep one of them")
        elif name:
            first[name] = index


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
