"""One sentence for several roles: what is true of both is said once, and names both."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dpd.endpoint import Role
from dpd.problems import Problem

PODS = "<pods>"


def told_once(found: Iterable[tuple[Role, Problem]]) -> Iterator[Problem]:
    """Join problems that differ in their role only; PODS in a fact becomes `a prefill pod`, or names both roles."""
    roles: dict[Problem, list[str]] = {}
    for role, problem in found:
        roles.setdefault(problem, []).append(role.name)
    for problem, names in roles.items():
        pods = f"a {names[0]} pod" if len(names) == 1 else f"{' and '.join(names)} pods"
        yield replace(problem, fact=problem.fact.replace(PODS, pods))
