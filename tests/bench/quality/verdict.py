"""Sixth step: what prefixaware has to be. Decides only, but for the runs that it asks for."""

from collections.abc import Callable, Mapping, Sequence

from bench.bars import Bar
from bench.quality.play import Outcome, play
from bench.quality.players import ORACLE
from bench.quality.shapes import SHAPES, Shape

OURS = "prefixaware"
SHORT, IMBALANCE = 5.0, 1.2
COUNTS = (4, 16, 64)
SEEDS = (1, 2, 3)
FEWEST = 4

Found = Mapping[tuple[str, str, int], Sequence[Outcome]]
"""Outcomes by shape, strategy and number of prefillers, seed by seed."""


def requests(shape: Shape, prefillers: int) -> int:
    """Return how many requests a run has: so many for each prefiller, and for few prefillers more."""
    return shape.requests * max(FEWEST, prefillers)


def bars(counts: Sequence[int] = COUNTS, seeds: Sequence[int] = SEEDS) -> list[Bar]:
    """Run prefixaware and the oracle, and return the bars."""
    found = {
        (shape.name, strategy, count): [play(shape, strategy, count, seed, requests(shape, count)) for seed in seeds]
        for shape in SHAPES
        for strategy in (OURS, ORACLE)
        for count in counts
    }
    return judged(found, counts)


def judged(found: Found, counts: Sequence[int] = COUNTS) -> list[Bar]:
    """Return two bars for each number of prefillers; of the workloads the worst one of each seed counts."""
    made = list[Bar]()
    for count in counts:
        here = f"prefixaware, {count} prefillers, worst workload"
        made.append(Bar(f"{here}: hit rate short of the oracle's", SHORT, _worst(found, count, short), "%"))
        made.append(Bar(f"{here}: most loaded prefiller to the mean", IMBALANCE, _worst(found, count, imbalance)))
    return made


def short(ours: Outcome, oracle: Outcome) -> float:
    """Return by how many percent the hit rate is short of the oracle's; never less than none."""
    return max(0.0, 100 * (1 - ours.rate / oracle.rate))


def imbalance(ours: Outcome, _oracle: Outcome) -> float:
    """Return the work of the prefiller that had the most, to the mean."""
    return ours.work_imbalance


def _worst(found: Found, count: int, of: Callable[[Outcome, Outcome], float]) -> list[float]:
    each = [zip(found[shape.name, OURS, count], found[shape.name, ORACLE, count], strict=True) for shape in SHAPES]
    return [max(of(ours, oracle) for ours, oracle in seed) for seed in zip(*each, strict=True)]
