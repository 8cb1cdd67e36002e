"""The order of batches: each has a number, and what is missing between two has to be asked for. Decides only; no I/O.

A number that was seen already is a repetition when its time is not later than the latest one's, else the engine has
started again and counts from the beginning.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Turn(Enum):
    """What a batch is, beside those before it."""

    NEXT = auto()
    AGAIN = auto()
    AFTER_GAP = auto()
    NEW_LIFE = auto()


@dataclass(slots=True)
class Order:
    """The number that is due, and the time of the latest batch by the engine's own clock."""

    due: int = 0
    latest: float = 0.0

    def judge(self, number: int, at: float) -> Turn:
        """Say what a batch is."""
        if number < self.due:
            return Turn.NEW_LIFE if at > self.latest else Turn.AGAIN
        return Turn.NEXT if number == self.due else Turn.AFTER_GAP

    def took(self, number: int, at: float) -> None:
        """Note that a batch has been applied."""
        self.due, self.latest = number + 1, at
