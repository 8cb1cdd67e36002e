"""What is unwise about a case, each with what to do: fact and remedy. Pure; the numbers come from memory and buffer."""

from collections.abc import Iterator
from dataclasses import dataclass

from dpd.size.buffer import ESTIMATED_BYTES_PER_TOKEN, Buffer, reserved_pages
from dpd.size.case import Case, Engine
from dpd.size.memory import Memory, sequences_of
from dpd.sizing import gib

_DENSE = 60e9
_LONG = 131072


@dataclass(frozen=True, slots=True)
class Sized:
    """A case with its arithmetic: memory by role, the buffer if there is one, whether the router counts exactly."""

    case: Case
    memory: dict[str, Memory]
    buffer: Buffer | None
    exact: bool


def advice(sized: Sized) -> list[tuple[str, str]]:
    """Return facts and remedies, the graver first."""
    found = [each for engine in sized.case.engines for each in _memory(sized, engine)]
    if sized.buffer and sized.case.is_disaggregated:
        found += [*_router(sized, sized.buffer), *_room(sized, sized.buffer)]
    return [*found, *_kind(sized.case)]


def _memory(sized: Sized, engine: Engine) -> Iterator[tuple[str, str]]:
    memory, model = sized.memory[engine.role], sized.case.model
    more = "raise --tensor-parallel-size or --gpu-memory-utilization, or use GPUs with more memory"
    if model.weights is None:
        fact = f"{engine.role}: the weights of {model.name} cannot be told, so what is left for KV is too much"
        yield fact, "say --weights, or put model.safetensors.index.json beside config.json"
    if memory.kv <= 0:
        yield (
            f"{engine.role}: weights and what computing takes need {gib(memory.weights + memory.overhead)} of each "
            f"GPU, and the engine may take {gib(memory.share)}: it does not start",
            more,
        )
    elif engine.longest and not sequences_of(model, engine, memory, engine.longest):
        fact = (
            f"{engine.role}: a sequence of --max-model-len {engine.longest} does not fit {memory.tokens} tokens of KV"
        )
        yield fact, f"lower --max-model-len, or {more}"
    if sized.buffer and sized.case.buffer_on_gpu and sized.buffer.size > memory.beside:
        yield (
            f"{engine.role}: the transfer buffer takes {gib(sized.buffer.size)} of each GPU, and "
            f"--gpu-memory-utilization {engine.utilization:g} leaves {gib(memory.beside)}",
            "lower --gpu-memory-utilization, or PD_BUFFER_SIZE",
        )
    if engine.longest and model.longest and engine.longest > model.longest:
        fact = f"{engine.role}: --max-model-len {engine.longest} is more than the {model.longest} of the configuration"
        yield fact, "lower it: the engine refuses to start"


def _router(sized: Sized, buffer: Buffer) -> Iterator[tuple[str, str]]:
    """What never goes through a prefiller, or is looked at twice, because the router owns too few pages."""
    case = sized.case
    longest = min(each for each in (case.decoder.longest, case.model.longest, _LONG) if each)
    least, most = reserved_pages(case.threshold), reserved_pages(longest)
    uncounted = reserved_pages(case.threshold * ESTIMATED_BYTES_PER_TOKEN)
    owned = f"the router owns {buffer.share} of the {buffer.pages} pages of a decoder's buffer"
    if least > buffer.share:
        fact = (
            f"the router never disaggregates: a prompt of routingThreshold {case.threshold} tokens takes {least} pages"
        )
        yield f"{fact}, and {owned}", _larger(sized, buffer, least, most)
    elif most > buffer.share:
        fact = f"prompts of more than {buffer.longest_prompt} of the {longest} tokens that are allowed go direct"
        yield f"{fact}, without a prefiller: the longest takes {most} pages, and {owned}", _larger(sized, buffer, most)
    if least <= buffer.share < uncounted and not sized.exact:
        yield (
            f"every prompt is counted by a decoder before it may use a prefiller, and goes direct when that fails: one "
            f"of routingThreshold {case.threshold} tokens takes {uncounted} pages if each of its bytes is a token, and "
            f"{owned}",
            _larger(sized, buffer, uncounted) + ", or let the router count tokens itself (router.routing.tokenizer)",
        )


def _larger(sized: Sized, buffer: Buffer, *pages: int) -> str:
    """What to do so that one router's share has so many pages: the least that helps, and what is enough for all."""
    sizes = dict.fromkeys(buffer.size_for(each) for each in pages)
    raised = ", better ".join(f'"{size}" ({gib(size)})' for size in sizes)
    wider = "" if sized.case.model.cache.latent else ", or raise --tensor-parallel-size"
    return f"raise PD_BUFFER_SIZE to {raised}{wider}"


def _room(sized: Sized, buffer: Buffer) -> Iterator[tuple[str, str]]:
    """One transfer at a time: whoever comes second waits until the first has been read."""
    least = buffer.reserved(sized.case.threshold, exact=sized.exact)
    if least <= buffer.share < 2 * least:
        fact = f"prompts of routingThreshold tokens are let into a decoder's buffer one at a time ({least} pages each)"
        yield fact, _larger(sized, buffer, 4 * least)


def _kind(case: Case) -> Iterator[tuple[str, str]]:
    model = case.model
    for note in model.notes:
        yield note, "look at what the engine says at its start, and say --overhead or --weights"
    if not case.is_disaggregated:
        return
    if model.cache.latent and not case.by_nixl:
        fact = (
            "MLA: LMCache 0.4.3 sends it from rank 0 alone, with one notice, and a router waits for one from each rank"
        )
        yield fact, "use --tensor-parallel-size 1, or annotation dpd-connector: nixl; try it before you count on it"
    if model.is_sparse:
        fact = (
            f"a mixture of experts ({model.chosen or 'some'} of {model.experts} for a token) prefills fast for its size"
        )
        yield fact, "compare with a colocated endpoint first: DPD pays for dense models of 70B and more"
    elif model.weights and model.weights.active < _DENSE:
        fact = "a small model prefills fast, so there is little for DPD to take away"
        yield fact, "compare with a colocated endpoint first: DPD pays for dense models of 70B and more"
    if model.cache.windowed:
        fact = (
            f"{model.cache.windowed} of {model.cache.layers} layers look back {model.cache.window} tokens only, and "
            "under a KV connector the engine keeps and sends all of them whole"
        )
        yield fact, "nothing to do: it is counted so here"
    if any(each.copies > 1 for each in case.engines):
        fact = "--data-parallel-size: engines of one pod would share the transfer ports"
        yield fact, "use replicas of the role instead"
