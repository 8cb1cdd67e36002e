"""Last stop: what the logs say about one answer. Decides only."""

import re
from dataclasses import dataclass

from dpd_local.prompts import Question

DECISION = re.compile(r"\[INFO\] Conditional routing: estimated_tokens=\d+, threshold=\d+, disaggregate=(?:True|False)")
RETRIEVED = re.compile(r"^.*Retrieved (\d+) out of (\d+) required tokens.*$", re.MULTILINE)
FETCHED = re.compile(r"^.*KV Transfer metrics: Num successful transfers=[1-9].*$", re.MULTILINE)
ROLE = re.compile(r"'pd_role': '[a-z]+'")


@dataclass(frozen=True)
class Evidence:
    """What was seen for one question: the answer, and what router and decoder logged meanwhile."""

    answer: str
    router_log: str
    decoder_log: str

    @property
    def decision(self) -> str | None:
        """The router's line for this request."""
        found = DECISION.findall(self.router_log)
        return found[-1] if found else None

    @property
    def retrieved(self) -> str | None:
        """The decoder's line about the transfer: LMCache's, of one rank, or the NixlConnector's."""
        found = [match.group(0) for each in (FETCHED, RETRIEVED) for match in each.finditer(self.decoder_log)]
        return found[-1] if found else None


def faults(question: Question, evidence: Evidence, routed: bool) -> list[str]:
    """Everything that is not as it should be, each as fact and remedy; empty when all is well."""
    found = []
    if not evidence.answer.strip():
        found.append(f"{question.title}: the answer is empty; read the decoder's log")
    if not routed:
        return found
    expected = f"disaggregate={question.disaggregated}"
    if evidence.decision is None:
        found.append(f"{question.title}: the router logged no decision; it did not see the request")
    elif not evidence.decision.endswith(expected):
        found.append(f"{question.title}: {evidence.decision}, expected {expected}; compare routingThreshold")
    return found + _transfer_faults(question, evidence)


def _transfer_faults(question: Question, evidence: Evidence) -> list[str]:
    counts = [(int(got), int(needed)) for got, needed in RETRIEVED.findall(evidence.decoder_log)]
    fetched = FETCHED.search(evidence.decoder_log) is not None
    if not question.disaggregated:
        moved = fetched or any(got for got, _ in counts)
        return [f"{question.title}: went direct, yet the decoder retrieved tokens"] if moved else []
    if not counts and not fetched:
        return [f"{question.title}: the decoder logged no retrieval; the transfer did not happen"]
    short = [f"{got} out of {needed}" for got, needed in counts if got != needed or not got]
    if short:
        return [f"{question.title}: retrieved {short[0]} tokens; the decoder computed the rest itself"]
    return []
