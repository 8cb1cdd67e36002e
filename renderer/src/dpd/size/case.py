"""What is to be sized: a model, the engines of each role, and the buffer between them. Read from an endpoint's data."""

from dataclasses import dataclass, replace

from dpd.endpoint import Endpoint, Role
from dpd.flags import Flag, share, whole_number
from dpd.instances import Instance, facts_of, least
from dpd.pages import BUFFER_SIZES, buffer_bytes, longest_prompt, routers_of
from dpd.size.architecture import Model, RefusedError, Split
from dpd.sizing import DEFAULT_GPU_MEMORY_UTILIZATION, GIB

DEFAULT_THRESHOLD = 4096
_SEQUENCES = {"prefill": 16, "decode": 32}
_LARGE_GPU_GIB = 70
_SEQUENCES_LARGE, _SEQUENCES_SMALL = 1024, 256
_TOKENS_LARGE, _TOKENS_SMALL = 8192, 2048
_LENGTH = "--max-model-len"
_CHOSEN_BY_THE_ENGINE = ("auto", "-1")
_VALUE_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "half": 2, "float": 4, "float32": 4}
_REFUSED_FLAGS = {
    "--speculative-config": "a draft model has weights and KV of its own",
    "--decode-context-parallel-size": "it cuts a sequence's KV over ranks",
    "--prefill-context-parallel-size": "it cuts a prompt over ranks",
    "--cpu-offload-gb": "a part of the weights lies in host memory",
    "--kv-cache-memory-bytes": "it sets the engine's KV instead of what is left",
    "--num-gpu-blocks-override": "it sets the engine's KV instead of what is left",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """One role's engine: how it is cut, what it may take, how much it does at once.

    copies: data-parallel engines in a pod; connected: a KV connector is on, so every layer keeps every token.
    """

    role: str
    replicas: int
    split: Split
    copies: int
    utilization: float
    longest: int | None
    sequences: int
    batched: int
    value_bytes: int
    connected: bool
    instance: Instance

    @property
    def gpu_bytes(self) -> int:
        """Bytes of one GPU, as its maker prints them."""
        return self.instance.gpu_memory_gib * GIB


@dataclass(frozen=True, slots=True)
class Case:
    """One endpoint to be sized. buffer: bytes of the transfer buffer on each rank, None when there is none."""

    name: str
    model: Model
    model_name: str
    instance_types: tuple[str, ...]
    engines: tuple[Engine, ...]
    buffer: int | None
    buffer_on_gpu: bool
    threshold: int
    by_nixl: bool = False
    routers: int = 1
    counts_tokens: bool = False

    def engine(self, role: str) -> Engine | None:
        """Return the engine of a role, None when the endpoint has no such role."""
        return next((each for each in self.engines if each.role == role), None)

    @property
    def decoder(self) -> Engine:
        """The engine that answers: a decoder, or the one there is."""
        return self.engines[-1]

    @property
    def is_disaggregated(self) -> bool:
        """Whether there are prefillers and decoders."""
        return len(self.engines) > 1


def case_of(endpoint: Endpoint, model: Model, model_name: str) -> Case:
    """Return what is to be sized. Raises RefusedError for what cannot be counted."""
    for role in endpoint.roles:
        _refuse(role)
    engines = tuple(_engine(endpoint, role) for role in endpoint.roles)
    for each in engines:
        model.cache.check(each.split)
    shapes = {(each.split, each.value_bytes) for each in engines}
    if endpoint.transfers_by_lmcache and len(shapes) > 1:
        fact = "prefillers and decoders are cut differently, or keep KV in different types, and LMCache cannot convert"
        raise RefusedError("spec.pdSpec", fact, "give both roles one --tensor-parallel-size and one --kv-cache-dtype")
    return Case(
        name=endpoint.name,
        model=_noted(endpoint, model),
        model_name=model_name,
        instance_types=endpoint.instance_types,
        engines=engines,
        buffer=_buffer(endpoint),
        buffer_on_gpu=any(role.has_gpus for role in endpoint.roles),
        threshold=endpoint.part("pdSpec").get("routingThreshold", DEFAULT_THRESHOLD),
        by_nixl=endpoint.is_disaggregated and not endpoint.transfers_by_lmcache,
        routers=routers_of(endpoint),
        counts_tokens=endpoint.part("intelligentRoutingSpec").get("routingStrategy") == "kvaware",
    )


def _noted(endpoint: Endpoint, model: Model) -> Model:
    """Note that weights are made smaller while they are loaded, which is not counted."""
    said = next((flag.value for role in endpoint.roles if (flag := role.flag("--quantization", "-q"))), None)
    if said is None or (model.weights and said in model.weights.origin):
        return model
    note = f"--quantization {said}: weights are counted as they lie in the files"
    return replace(model, notes=(*model.notes, note))


def _buffer(endpoint: Endpoint) -> int | None:
    if not endpoint.transfers_by_lmcache:
        return None
    found = buffer_bytes(endpoint)
    if found is None:
        where = f"spec.worker.environmentVariables: {' or '.join(BUFFER_SIZES)}"
        raise RefusedError(
            where, "has no plain number of bytes", 'write it out, as in "8589934592", or say --buffer 8Gi'
        )
    return found


def _engine(endpoint: Endpoint, role: Role) -> Engine:
    node = _node(role)
    large = node.gpu_memory_gib >= _LARGE_GPU_GIB
    sequences = _SEQUENCES.get(role.name, _SEQUENCES_LARGE if large else _SEQUENCES_SMALL)
    return Engine(
        role=role.name,
        replicas=role.replicas,
        split=Split(_count(role, "--tensor-parallel-size", 1), _count(role, "--pipeline-parallel-size", 1)),
        copies=_count(role, "--data-parallel-size", 1),
        utilization=_utilization(role),
        longest=_longest(role),
        sequences=_count(role, "--max-num-seqs", sequences),
        batched=_count(role, "--max-num-batched-tokens", _TOKENS_LARGE if large else _TOKENS_SMALL),
        value_bytes=_value_bytes(role),
        connected=endpoint.is_disaggregated or _has_cache(endpoint),
        instance=node,
    )


def _node(role: Role) -> Instance:
    if not role.instance_types:
        raise RefusedError(
            "instance type", "none is named", "write spec.instanceType, or say --instance-type ml.p5.48xlarge"
        )
    found = {each: facts_of(each) for each in role.instance_types}
    unknown = [each for each, facts in found.items() if facts is None]
    if unknown:
        fact = f"{unknown[0]} is not in dpd's table of types with NVIDIA GPUs"
        raise RefusedError("instance type", fact, "name one that is, as in --instance-type ml.p5.48xlarge")
    return least([facts for facts in found.values() if facts])


def _refuse(role: Role) -> None:
    for name, fact in _REFUSED_FLAGS.items():
        if role.flag(name):
            raise RefusedError(name, f"not counted: {fact}", "size the endpoint without it, and add what it takes")


def _utilization(role: Role) -> float:
    flag = role.flag("--gpu-memory-utilization")
    if flag is None:
        return DEFAULT_GPU_MEMORY_UTILIZATION
    found = share(flag.value)
    if found is None:
        raise RefusedError("--gpu-memory-utilization", f"{flag.value} is no share", "write a number above 0, at most 1")
    return found


def _count(role: Role, name: str, default: int) -> int:
    flag = role.flag(name)
    if flag is None:
        return default
    found = whole_number(flag.value)
    if not found:
        raise RefusedError(name, f"{flag.value} is no count", "write a whole number above 0, in digits")
    return found


def _longest(role: Role) -> int | None:
    """Return --max-model-len in tokens; None when the engine chooses it itself."""
    flag, found = role.flag(_LENGTH), longest_prompt(role)
    if flag is not None and not found and flag.value not in _CHOSEN_BY_THE_ENGINE:
        raise RefusedError(
            _LENGTH, f"{flag.value} is no number of tokens", "write a whole number above 0, or as in 16k"
        )
    return found


def _value_bytes(role: Role) -> int:
    said = _said(role.flag("--kv-cache-dtype"))
    if said.startswith("fp8") and said != "fp8_ds_mla":
        return 1
    if said == "auto":
        said = _said(role.flag("--dtype"))
    if said not in _VALUE_BYTES:
        raise RefusedError(
            "--kv-cache-dtype", f"{said} is not counted", f"write fp8, or one of {', '.join(_VALUE_BYTES)}"
        )
    return _VALUE_BYTES[said]


def _said(flag: Flag | None) -> str:
    return (flag.value if flag else None) or "auto"


def _has_cache(endpoint: Endpoint) -> bool:
    """Whether LMCache runs in a colocated worker: its connector switches off what windows would spare."""
    spec = endpoint.part("kvCacheSpec")
    return bool(spec.get("enableL1Cache", "kvCacheSpec" in endpoint.spec) or spec.get("enableL2Cache"))
