"""The two questions: one short, one long enough to cross the threshold. Decides only.

Sizes follow the page that this project implements: a one-sentence question, and 600 times a sentence of 45 characters.
"""

from dataclasses import dataclass

SHORT = "What is disaggregated prefill-decode in one sentence?"
SENTENCE = "The quick brown fox jumps over the lazy dog. "
SENTENCES = 600
TOKENS_PER_SENTENCE = 10
CHARACTERS_PER_TOKEN = 4
TEMPLATE_TOKENS = 64
"""More than any chat template we know adds to one message."""


@dataclass(frozen=True)
class Question:
    """One prompt, the answer's length in tokens, and whether the router must send it through a prefiller."""

    title: str
    text: str
    max_tokens: int
    disaggregated: bool

    @property
    def estimate(self) -> int:
        """Tokens as the router estimates them."""
        return len(self.text) // CHARACTERS_PER_TOKEN


def long_text(threshold: int, max_model_len: int | None, answer: int) -> str:
    """The page's long prompt, made longer for a higher threshold and shorter for a smaller model length."""
    wanted = max(SENTENCES, -(-threshold * CHARACTERS_PER_TOKEN // len(SENTENCE)))
    if max_model_len is not None:
        wanted = min(wanted, max(1, (max_model_len - answer - TEMPLATE_TOKENS) // TOKENS_PER_SENTENCE))
    return SENTENCE * wanted


def questions(threshold: int | None, max_model_len: int | None) -> tuple[Question, Question]:
    """The short and the long question for an endpoint; `threshold` is None when there is no prefiller."""
    long = long_text(threshold or 0, max_model_len, answer=30)

    def crosses(text: str) -> bool:
        """Say whether a prompt is long enough for a prefiller."""
        return threshold is not None and len(text) // CHARACTERS_PER_TOKEN >= threshold

    return (
        Question("short prompt", SHORT, 80, crosses(SHORT)),
        Question("long prompt", long, 30, crosses(long)),
    )
