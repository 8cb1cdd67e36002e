"""A sized case as data: what `-o json` writes and the tables show. Bytes are whole numbers, seconds are numbers."""

from dataclasses import asdict
from typing import Any

from dpd.pages import PAGE_TOKENS
from dpd.size.advice import Sized, advice
from dpd.size.buffer import Buffer
from dpd.size.case import Case, Engine
from dpd.size.flow.outcome import Outcome
from dpd.size.memory import Memory, sequences_of
from dpd.size.plan import Answer, objections

_EXAMPLE = 6000
_DIGITS = 6


def report(sized: Sized, answer: Answer | None) -> dict[str, Any]:
    """Return everything there is to say, as plain data."""
    case = sized.case
    found: dict[str, Any] = {
        "endpoint": case.name,
        "instanceTypes": list(case.instance_types),
        "model": _model(case),
        "engines": [_engine(sized, each) for each in case.engines],
    }
    if sized.buffer:
        found["buffer"] = _buffer(sized, sized.buffer, answer)
    if answer:
        found["workload"] = _workload(answer, case)
    said = [*advice(sized), *(objections(answer) if answer else ())]
    found["warnings"] = [{"fact": fact, "remedy": remedy} for fact, remedy in said]
    return found


def _model(case: Case) -> dict[str, Any]:
    model, cache = case.model, case.model.cache
    return {
        "name": case.model_name,
        "attention": cache.kind,
        "layers": cache.layers,
        "kvHeads": 0 if cache.latent else cache.kv_heads,
        "headDim": cache.latent or cache.head_dim,
        "windowedLayers": cache.windowed,
        "window": cache.window,
        "experts": model.experts,
        "expertsPerToken": model.chosen,
        "weightsBytes": int(model.weights.total) if model.weights else None,
        "weightsOrigin": model.weights.origin if model.weights else "unknown",
    }


def _engine(sized: Sized, engine: Engine) -> dict[str, Any]:
    memory, model = sized.memory[engine.role], sized.case.model
    longest = engine.longest or model.longest
    return {
        "role": engine.role,
        "replicas": engine.replicas,
        "gpus": engine.split.gpus * engine.copies,
        "tensorParallel": engine.split.tensor,
        "pipelineParallel": engine.split.pipeline,
        "gpuMemoryUtilization": engine.utilization,
        "maxModelLen": longest,
        "maxNumSeqs": engine.sequences,
        "perGpuBytes": _per_gpu(sized, memory),
        "kvTokenBytes": memory.token_bytes,
        "kvTokenBytesAllRanks": memory.token_bytes * engine.split.gpus,
        "kvTokens": memory.tokens,
        "longestSequences": sequences_of(model, engine, memory, longest) if longest else None,
    }


def _per_gpu(sized: Sized, memory: Memory) -> dict[str, int]:
    buffer = sized.buffer.size if sized.buffer and sized.case.buffer_on_gpu else 0
    return {
        "gpu": memory.gpu,
        "engine": memory.share,
        "weights": memory.weights,
        "overhead": memory.overhead,
        "kv": memory.kv,
        "beside": memory.beside,
        "buffer": buffer,
        "free": memory.beside - buffer,
    }


def _buffer(sized: Sized, buffer: Buffer, answer: Answer | None) -> dict[str, Any]:
    case = sized.case
    wanted = {case.threshold or 1, _EXAMPLE, case.decoder.longest or _EXAMPLE}
    if answer:
        wanted.add(answer.question.workload.prompt)
    return {
        "bytesPerRank": buffer.size,
        "onGpu": case.buffer_on_gpu,
        "pageTokens": PAGE_TOKENS,
        "pageBytes": buffer.page_bytes,
        "pages": buffer.pages,
        "routers": buffer.routers,
        "pagesPerRouter": buffer.share,
        "countsTokens": sized.exact,
        "longestDisaggregated": buffer.longest_prompt,
        "longestUncounted": buffer.longest_prompt if sized.exact else buffer.longest_uncounted,
        "inFlight": [_in_flight(buffer, each) for each in sorted(wanted)],
    }


def _in_flight(buffer: Buffer, tokens: int) -> dict[str, Any]:
    found = buffer.in_flight(tokens)
    return {
        "promptTokens": tokens,
        "bytesPerRank": found.rank_bytes,
        "pages": found.pages,
        "transfers": found.transfers,
        "transfersByBytes": round(found.by_bytes, 2),
    }


def _workload(answer: Answer, case: Case) -> dict[str, Any]:
    asked, ratio = answer.question, answer.ratio
    return {
        "rate": asked.workload.rate,
        "input": asked.workload.prompt,
        "output": asked.workload.answer,
        "spread": asked.workload.spread,
        "requests": asked.requests,
        "seed": asked.seed,
        "wanted": {"ttft": asked.targets.first_token, "tpot": asked.targets.token_gap},
        "costs": {"prefill": answer.prefill_costs.as_data(), "decode": answer.decode_costs.as_data()},
        "prefillerRate": round(ratio.prefiller_rate, _DIGITS),
        "decoderRate": round(ratio.decoder_rate, _DIGITS),
        "prefillersPerDecoder": round(ratio.prefillers_per_decoder, _DIGITS),
        "prefillers": ratio.prefillers,
        "decoders": ratio.decoders,
        "met": ratio.met,
        "disaggregated": _outcome(ratio.outcome),
        "colocated": _outcome(ratio.colocated),
        "written": {"replicas": [each.replicas for each in case.engines], **_outcome(answer.written)},
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "ttft": _rounded(asdict(outcome.first_token)),
        "tpot": _rounded(asdict(outcome.token_gap)),
        "seconds": round(outcome.seconds, _DIGITS),
        "ways": outcome.ways,
        "unfinished": outcome.unfinished,
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, _DIGITS) for key, value in values.items()}
