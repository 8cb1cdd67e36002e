"""Second stop of a manifest, continued: what a schema cannot say. One concern per module, each a pure function.

A rule looks at the sound parts of an endpoint and yields problems. Adding a rule is adding a module and a row here.
"""

from collections.abc import Callable, Iterable

from dpd.endpoint import Endpoint
from dpd.problems import Problem

Rule = Callable[[Endpoint], Iterable[Problem]]

RULES: tuple[Rule, ...] = ()


def check(endpoint: Endpoint) -> list[Problem]:
    """Return what every rule has to say about the endpoint."""
    return [problem for rule in RULES for problem in rule(endpoint)]
