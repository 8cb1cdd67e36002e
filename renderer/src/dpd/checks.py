"""All checks of one file together: reading, contract, rules. Problems come out ordered, with their lines."""

from collections.abc import Iterable
from dataclasses import dataclass

from dpd.contract import Contract
from dpd.document import Document
from dpd.endpoint import DEFAULT_NAMESPACE, Endpoint, endpoint_of
from dpd.problems import Problem, ordered, strict
from dpd.reader import read
from dpd.rules import check


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file says: its endpoints (of documents without errors) and everything there is to say against it."""

    endpoints: tuple[Endpoint, ...]
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is an error."""
        return not any(each.is_error for each in self.problems)


def check_file(data: bytes, contract: Contract, *, is_strict: bool = False) -> Checked:
    """Read and check the bytes of one file. Never raises for bad content."""
    reading = read(data)
    problems = list(reading.problems)
    endpoints: list[Endpoint] = []
    named: list[tuple[Document, Endpoint]] = []
    for document in reading.documents:
        found, endpoint = check_document(document, contract)
        problems.extend(found)
        if endpoint is not None:
            named.append((document, endpoint))
            endpoints.append(endpoint)
    problems.extend(_same_name_twice(named))
    if is_strict:
        problems = strict(problems)
    return Checked(tuple(endpoints), tuple(ordered(problems)))


def check_document(document: Document, contract: Contract) -> tuple[list[Problem], Endpoint | None]:
    """Check one document; the endpoint is None when the document is no InferenceEndpointConfig at all."""
    problems = [each for each in contract.problems(document) if each.path not in document.refused]
    endpoint = None
    if not any(each.path in ((), ("kind",), ("apiVersion",)) for each in problems):
        endpoint = endpoint_of(document, (*document.refused, *(each.path for each in problems)))
        problems = problems + check(endpoint)
    return [each.at_line(document.line_of(each.path)) for each in problems], endpoint


def _same_name_twice(named: Iterable[tuple[Document, Endpoint]]) -> Iterable[Problem]:
    first: dict[tuple[str, str], int] = {}
    for document, endpoint in named:
        key = (endpoint.namespace or DEFAULT_NAMESPACE, endpoint.name)
        line = document.line_of(("metadata", "name"))
        if endpoint.name and key in first:
            fact = f"{endpoint.name} in namespace {key[0]} is already described on line {first[key]}"
            yield Problem(("metadata", "name"), fact, "rename one, or remove it", line=line)
        first.setdefault(key, line)
