"""How many prompts decoders compute at a time because no prefiller would: beyond that, others' streams would stall."""

from dataclasses import dataclass

from dpd_router.errors import UnavailableError


class Slot:
    """One prompt's place; it goes back once."""

    def __init__(self, fallbacks: "Fallbacks | None") -> None:
        self._fallbacks = fallbacks

    def free(self) -> None:
        """Give the place back; may be called more than once."""
        if self._fallbacks is not None:
            self._fallbacks.active -= 1
        self._fallbacks = None


@dataclass(slots=True)
class Fallbacks:
    """Counts them. `per_decoder` is the cap for each decoder that is ready; `refused` those that found no place."""

    per_decoder: int
    retry_after: int = 5
    active: int = 0
    refused: int = 0

    def take(self, decoders: int) -> Slot:
        """Return a place until the prompt is computed. Raises UnavailableError when all are taken."""
        if self.active >= self.per_decoder * max(1, decoders):
            self.refused += 1
            text = "No prefiller can take the prompt, and the decoders compute as many as they may; try again later."
            raise UnavailableError(text, code="fallbacks_exhausted", retry_after=self.retry_after)
        self.active += 1
        return Slot(self)
