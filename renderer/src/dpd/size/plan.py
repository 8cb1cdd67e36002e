"""A case and a workload → what to simulate. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpd.size.advice import Sized
from dpd.size.architecture import RefusedError
from dpd.size.case import Engine
from dpd.size.flow.costs import Costs, estimated
from dpd.size.flow.engine import Limits
from dpd.size.flow.outcome import Outcome
from dpd.size.flow.ratio import MOST_WORKERS, Plant, Ratio, Targets, ratio_of
from dpd.size.flow.system import Router
from dpd.size.flow.trace import Workload, drawn
from dpd.size.hardware import slowest
from dpd.sizing import GIB

_UNLIMITED = 10**9


@dataclass(frozen=True, slots=True)
class Question:
    """A workload and what is wanted of it; how many requests to simulate, the seed, measured costs and their file."""

    workload: Workload
    targets: Targets
    requests: int
    seed: int
    costs: Mapping[str, Any]
    costs_name: str = "costs"


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, the costs it was simulated with, and what came out; written: with the manifest's own replicas."""

    question: Question
    prefill_costs: Costs
    decode_costs: Costs
    ratio: Ratio
    written: Outcome


def answer(sized: Sized, question: Question) -> Answer:
    """Simulate. Raises RefusedError when the workload cannot be served at all, or nothing tells what a step costs."""
    case = sized.case
    if not case.is_disaggregated:
        raise RefusedError("--rate", "the endpoint is colocated, so there is no ratio", "size one with pdSpec")
    engines = case.engines
    _fits(sized, question.workload)
    prefill_costs, decode_costs = (_costs(sized, each, question) for each in engines)
    limits = tuple(_limits(sized, each) for each in engines)
    pages = sized.buffer.share * case.routers if sized.buffer else None
    router = Router(case.threshold, pages, exact=sized.exact)
    plant = Plant(limits[0], limits[1], prefill_costs, decode_costs, router)
    trace = drawn(question.workload, question.requests, question.seed)
    ratio = ratio_of(plant, question.workload, question.targets, trace)
    if ratio.prefillers + ratio.decoders > MOST_WORKERS:
        needed = f"{ratio.prefillers:.7g} prefillers and {ratio.decoders:.7g} decoders"
        fact = f"{needed} would be needed, by what one of each can do"
        raise RefusedError("--rate", fact, f"ask for a rate that {MOST_WORKERS} engines can do")
    written = plant.tried(engines[0].replicas, engines[1].replicas, trace)
    return Answer(question, prefill_costs, decode_costs, ratio, written)


def objections(answer: Answer) -> list[tuple[str, str]]:
    """Return facts and remedies about what was simulated."""
    ratio, found = answer.ratio, []
    if not ratio.met:
        fact = f"even {ratio.prefillers} prefillers and {ratio.decoders} decoders do not answer as quickly as is wanted"
        found.append((fact, "wish for less, raise --tensor-parallel-size, or use faster GPUs"))
    crowded = ratio.outcome.ways.get("buffer_full", 0)
    if crowded:
        fact = f"{crowded} of {answer.question.requests} requests found no room in a decoder's buffer in time"
        found.append((f"{fact} and went direct", "raise PD_BUFFER_SIZE, or use more decoders"))
    return found


def _costs(sized: Sized, engine: Engine, question: Question) -> Costs:
    gpu = slowest(sized.case.instance_types)
    if gpu is None or sized.case.model.weights is None or not sized.case.model.weights.active:
        unknown = Costs(0, 0, 0, 0, 0, 0, 1, 1)
        given = unknown.changed(question.costs, question.costs_name)
        if set(question.costs) < set(unknown.as_data()):
            raise RefusedError(
                "--rate", "what a step costs cannot be told from model and GPU", "measure it and say --costs"
            )
        return given
    return estimated(sized.case.model, engine, gpu).changed(question.costs, question.costs_name)


def _limits(sized: Sized, engine: Engine) -> Limits:
    memory = sized.memory[engine.role]
    sends = engine.role == "prefill" and not sized.case.by_nixl
    return Limits(engine.sequences, engine.batched, memory.tokens or _UNLIMITED, memory.token_bytes, sends)


def _fits(sized: Sized, workload: Workload) -> None:
    longest = int((workload.prompt + workload.answer) * (1 + workload.spread))
    for engine in sized.case.engines:
        memory = sized.memory[engine.role]
        if longest > (engine.longest or longest):
            fact = f"{longest} tokens of prompt and answer are more than the {engine.longest} of --max-model-len"
            raise RefusedError("--input", fact, "raise --max-model-len, or ask for less")
        if memory.kv <= 0 or longest > memory.tokens:
            left = f"{max(0, memory.kv) / GIB:.2f} GiB, {memory.tokens} tokens"
            fact = (
                f"{longest} tokens of prompt and answer do not fit what {engine.role} engines have left for KV ({left})"
            )
            raise RefusedError("--input", fact, "raise --tensor-parallel-size, or use GPUs with more memory")
