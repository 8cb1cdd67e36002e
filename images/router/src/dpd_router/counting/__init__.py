"""How long a prompt is: estimated from its text, or counted by a tokenizer here or in an engine."""

from dpd_router.counting.guarded import Estimates, Guarded, Source, Tally

__all__ = ["Estimates", "Guarded", "Source", "Tally"]
