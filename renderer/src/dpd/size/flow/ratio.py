"""How many prefillers and decoders a workload needs: what one of each can do, then a simulation of so many.

What one can do is measured, not computed: a prefiller that always has prompts waiting, a decoder that always has
transfers waiting. The numbers that follow are tried under the real arrivals; where answers are slower than wanted, one
more of the role that is to blame is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from dpd.size.flow.costs import Costs
from dpd.size.flow.engine import Engine, Job, Limits
from dpd.size.flow.outcome import Outcome, outcome_of
from dpd.size.flow.system import Router, System
from dpd.size.flow.trace import Arrival, Workload, at_once

_PROMPTS = 24
_ROUNDS = 4
_MOST_ADDED = 12
MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class Plant:
    """What engines there are to be had: limits and costs of each role, and the router before them."""

    prefill: Limits
    decode: Limits
    prefill_costs: Costs
    decode_costs: Costs
    router: Router

    def system(self, prefillers: int, decoders: int) -> System:
        """Build so many engines, with nothing to do yet."""
        return System(
            [Engine(self.prefill, self.prefill_costs) for _ in range(prefillers)],
            [Engine(self.decode, self.decode_costs) for _ in range(decoders)],
            self.router,
        )

    def tried(self, prefillers: int, decoders: int, trace: Sequence[Arrival]) -> Outcome:
        """Let a trace pass through so many engines."""
        return outcome_of(self.system(prefillers, decoders).run(trace))


@dataclass(frozen=True, slots=True)
class Targets:
    """Seconds that nine of ten requests shall keep; None for no wish. room: share of an engine that may be used."""

    first_token: float | None = None
    token_gap: float | None = None
    room: float = 0.8

    def missed(self, outcome: Outcome) -> bool:
        """Whether answers come later than wanted."""
        return self.missed_first(outcome) or self.missed_gap(outcome)

    def missed_first(self, outcome: Outcome) -> bool:
        """Whether first tokens come later than wanted."""
        return self.first_token is not None and outcome.first_token.p90 > self.first_token

    def missed_gap(self, outcome: Outcome) -> bool:
        """Whether the tokens after it come more slowly than wanted."""
        return self.token_gap is not None and outcome.token_gap.p90 > self.token_gap


@dataclass(frozen=True, slots=True)
class Ratio:
    """Requests in a second that one prefiller and one decoder can do, and numbers of both with what they were like.

    met: whether the wishes are; colocated: the same number of engines without roles.
    """

    prefiller_rate: float
    decoder_rate: float
    prefillers: int
    decoders: int
    met: bool
    outcome: Outcome
    colocated: Outcome

    @property
    def prefillers_per_decoder(self) -> float:
        """Prefillers that keep one decoder busy."""
        return self.decoder_rate / self.prefiller_rate if self.prefiller_rate else 0.0


def ratio_of(plant: Plant, workload: Workload, targets: Targets, trace: Sequence[Arrival]) -> Ratio:
    """Return the least numbers of prefillers and decoders that do the workload as wanted, simulated on `trace`.

    Numbers above MOST_WORKERS are not simulated: then there is no outcome, and `met` is false.
    """
    prefiller = prefill_rate(plant, workload)
    decoder = decode_rate(plant, workload, targets)
    prefillers, decoders = (_needed(workload.rate, each, targets.room) for each in (prefiller, decoder))
    if prefillers + decoders > MOST_WORKERS:
        nothing = outcome_of(())
        return Ratio(prefiller, decoder, prefillers, decoders, False, nothing, nothing)
    outcome = plant.tried(prefillers, decoders, trace)
    for _ in range(_MOST_ADDED):
        if not targets.missed(outcome) or prefillers + decoders >= MOST_WORKERS:
            break
        if targets.missed_gap(outcome):
            decoders += 1
        else:
            prefillers += 1
        outcome = plant.tried(prefillers, decoders, trace)
    met = not targets.missed(outcome) and not outcome.unfinished
    alike = Plant(plant.decode, plant.decode, plant.decode_costs, plant.decode_costs, plant.router)
    together = alike.tried(0, prefillers + decoders, trace)
    return Ratio(prefiller, decoder, prefillers, decoders, met, outcome, together)


def prefill_rate(plant: Plant, workload: Workload) -> float:
    """Requests in a second that one prefiller computes and sends, when there are always more."""
    return _rate(Engine(plant.prefill, plant.prefill_costs), _jobs(workload, _PROMPTS, 1))


def decode_rate(plant: Plant, workload: Workload, targets: Targets) -> float:
    """Requests in a second that one decoder answers, when there are always more, as slowly as is allowed."""
    limit = plant.decode.sequences
    while True:
        limits = Limits(limit, plant.decode.batched, plant.decode.tokens, plant.decode.token_bytes)
        jobs = _jobs(workload, limit * _ROUNDS, workload.answer, brought=workload.prompt)
        rate = _rate(Engine(limits, plant.decode_costs), jobs)
        if limit == 1 or targets.token_gap is None or not rate:
            return rate
        if limit / (rate * workload.answer) <= targets.token_gap:
            return rate
        limit = max(1, limit * 3 // 4)


def _jobs(workload: Workload, count: int, answer: int, brought: int = 0) -> list[Job]:
    trace = at_once(workload.prompt, answer, count)
    return [Job(index, each.prompt, each.answer, brought=brought) for index, each in enumerate(trace)]


def _rate(engine: Engine, jobs: list[Job]) -> float:
    """Jobs in a second, all waiting from the beginning; 0 when the engine cannot hold even one."""
    engine.waiting.extend(jobs)
    while engine.begin() is not None:
        engine.end()
    return 0.0 if engine.waiting else len(jobs) / engine.busy


def _needed(rate: float, one: float, room: float) -> int:
    return max(1, ceil(rate / (one * room))) if one else 1
