"""Requests and limits: what Kubernetes demands of them beyond their spelling."""

from collections.abc import Iterator
from decimal import Decimal

from dpd.endpoint import Endpoint, Tree
from dpd.problems import FieldPath, Problem, short
from dpd.sizing import quantity


def limits_cover_requests(endpoint: Endpoint) -> Iterator[Problem]:
    """No limit is below its request; devices and huge pages are asked for in one amount."""
    for path, resources in _all_resources(endpoint):
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name, asked in requests.items():
            where = (*path, "requests", name)
            yield from _pair(where, name, asked, limits.get(name))


def amounts_are_possible(endpoint: Endpoint) -> Iterator[Problem]:
    """No amount is negative or beyond counting, and devices come whole."""
    for path, resources in _all_resources(endpoint):
        for key in ("requests", "limits"):
            for name, held in (resources.get(key) or {}).items():
                amount = quantity(held)
                for fact, remedy in _impossible(name, amount):
                    yield Problem((*path, key, name), f"{short(str(held))} {fact}", remedy)


def _impossible(name: str, amount: Decimal | None) -> Iterator[tuple[str, str]]:
    """Fact and remedy for an amount that cannot be; None is one that fits the contract and no number Kubernetes has."""
    if amount is None:
        yield "is longer or larger than Kubernetes can count", "write less, as in 64Gi"
    elif amount < 0:
        yield "is negative", "write zero or more"
    elif _is_device(name) and amount != amount.to_integral_value():
        yield "is not whole", "devices come whole"


def _pair(path: FieldPath, name: str, asked: str | int, limit: str | int | None) -> Iterator[Problem]:
    fixed = _is_device(name) or name.startswith("hugepages-")
    if limit is None:
        if fixed:
            yield Problem(path, "has no limit beside it", f"add {name} with the same amount to limits")
        return
    low, high = quantity(asked), quantity(limit)
    if low is None or high is None:
        return
    if fixed and low != high:
        yield Problem(path, f"{_plain(low)} is asked for and {_plain(high)} is the limit", "make them the same")
    elif low > high:
        yield Problem(
            path, f"{short(str(asked))} is more than the limit {short(str(limit))}", "lower it, or raise the limit"
        )


def _is_device(name: str) -> bool:
    """Extended resources carry a domain, as nvidia.com/gpu does."""
    return "/" in name and not name.partition("/")[0].endswith("kubernetes.io")


def _plain(amount: Decimal) -> str:
    return short(f"{amount.normalize():f}")


def _all_resources(endpoint: Endpoint) -> Iterator[tuple[FieldPath, Tree]]:
    yield ("spec", "worker", "resources"), endpoint.part("worker", "resources")
    for role in endpoint.roles:
        if role.name != "worker":
            yield (*role.path, "resources"), role.resources
