"""What one engine is: the flags, the model's shape, the knobs and the connector, checked as vLLM checks them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from dpd_sim.core.timing import Timing
from dpd_sim.flags import Flags
from dpd_sim.kv_events import EventsConfig
from dpd_sim.kv_events import read as read_events


class SettingsError(Exception):
    """The engine refuses to start; the text says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's KV weighs, and how long it may get."""

    layers: int
    kv_heads: int
    head_dim: int
    heads: int
    weights_gib: float
    max_len: int

    def token_bytes(self, tp: int, pp: int, width: int) -> int:
        """Bytes of KV of one token on one rank."""
        return -(-self.layers // pp) * 2 * max(1, self.kv_heads // tp) * self.head_dim * width


PRESETS = {
    "llama-3.3-70b": Shape(80, 8, 128, 64, 131.4, 131072),
    "llama-3.1-8b": Shape(32, 8, 128, 32, 15.0, 131072),
    "qwen3-32b": Shape(64, 8, 128, 64, 61.0, 40960),
    "tiny": Shape(2, 1, 32, 4, 0.1, 131072),
}
_WIDTH = {"float32": 4, "float": 4, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}
KNOB = "DPD_SIM_"
OWN_LENGTH = -1
"""As --max-model-len: the model's own."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """The simulation's own settings; `read` has their names and defaults."""

    speed: float = 1.0
    shape: Shape = PRESETS["llama-3.3-70b"]
    gpus: int = 8
    gpu_gib: float = 80.0
    kv_tokens: int = 0
    answer_tokens: int = 256
    admin: bool = False
    metrics_lag: float = 10.0
    exit_on_death: bool = False
    strict_memory: bool = False
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Knobs":
        """Read DPD_SIM_* variables. Raises SettingsError for an unknown name or a value that cannot be read."""
        given = {name.removeprefix(KNOB).lower(): value for name, value in env.items() if name.startswith(KNOB)}
        preset = given.pop("model", "llama-3.3-70b")
        if preset not in PRESETS:
            raise SettingsError(f"{KNOB}MODEL: {preset!r} is not one of {', '.join(PRESETS)}; choose one of them")
        shape = _override(PRESETS[preset], given, "shape_")
        timing = _override(Timing(), given, "time_")
        own = _override(cls(shape=shape, timing=timing), given, "", ("shape", "timing"))
        if given:
            raise SettingsError(f"{KNOB}{next(iter(given)).upper()}: unknown knob; see the table in the README")
        if own.speed <= 0:
            raise SettingsError(f"{KNOB}SPEED: {own.speed}, must be above 0")
        return own


_Settings = TypeVar("_Settings", Shape, Timing, "Knobs")


def _override(base: _Settings, given: dict[str, str], prefix: str, skip: tuple[str, ...] = ()) -> _Settings:
    changes: dict[str, Any] = {}
    for name in (f.name for f in fields(base)):
        key = prefix + name
        if key in given and name not in skip:
            changes[name] = _like(getattr(base, name), given.pop(key), KNOB + key.upper())
    return replace(base, **changes)


def _like(default: Any, value: str, name: str) -> Any:
    try:
        if default is True or default is False:
            return {"1": True, "true": True, "0": False, "false": False}[value.lower()]
        return int(value) if type(default) is int else float(value)
    except (ValueError, KeyError):
        raise SettingsError(f"{name}: {value!r} cannot be read as {type(default).__name__}") from None


@dataclass(frozen=True, slots=True)
class Settings:
    """One engine, ready to start."""

    flags: Flags
    knobs: Knobs
    env: Mapping[str, str]
    cache_document: Mapping[str, Any] | None
    cache_problem: str | None = None

    @property
    def ranks(self) -> int:
        """Workers: tensor-parallel times pipeline-parallel."""
        return self.flags.tensor_parallel_size * self.flags.pipeline_parallel_size

    @property
    def kv_events(self) -> EventsConfig:
        """What is told of the prefix cache, and where. Raises ValueError, which `check` has looked for."""
        return read_events(self.flags.kv_events_config)

    @property
    def token_bytes(self) -> int:
        """KV bytes of one token on one rank."""
        width = _WIDTH.get(self.flags.kv_cache_dtype, 0) or _WIDTH.get(self.flags.dtype, 2)
        return self.knobs.shape.token_bytes(self.flags.tensor_parallel_size, self.flags.pipeline_parallel_size, width)

    @property
    def max_model_len(self) -> int:
        """Tokens a request may have, prompt and answer together."""
        given = self.flags.max_model_len
        return self.knobs.shape.max_len if given in {None, OWN_LENGTH} else given

    @property
    def kv_tokens(self) -> int:
        """Tokens the paged cache holds: what the GPUs have left after the weights."""
        if self.knobs.kv_tokens:
            return self.knobs.kv_tokens
        room = self.knobs.gpu_gib * self.flags.gpu_memory_utilization - self.knobs.shape.weights_gib / self.ranks - 2.0
        fits = max(0, int(room * 2**30) // self.token_bytes)
        return fits if self.knobs.strict_memory else max(fits, 4 * self.max_model_len)

    @property
    def names(self) -> tuple[str, ...]:
        """Model names requests may use."""
        return self.flags.served_model_name or (self.flags.model,)


def check(settings: Settings) -> None:
    """Refuse what vLLM refuses at start. Raises SettingsError with all reasons at once."""
    rules = (_heads(settings), _world(settings), _length(settings), _memory(settings), _events(settings))
    found = [problem for problem in rules if problem] + _check_transfer(settings.flags.kv_transfer_config)
    if settings.cache_problem and uses_lmcache(settings.flags):
        found.append(settings.cache_problem)
    if found:
        raise SettingsError("\n".join(found))


def _heads(settings: Settings) -> str | None:
    heads, tp = settings.knobs.shape.heads, settings.flags.tensor_parallel_size
    if heads % tp == 0:
        return None
    return f"Total number of attention heads ({heads}) must be divisible by tensor parallel size ({tp})."


def _world(settings: Settings) -> str | None:
    if settings.ranks <= settings.knobs.gpus:
        return None
    return f"World size ({settings.ranks}) is larger than the number of available GPUs ({settings.knobs.gpus})."


def _length(settings: Settings) -> str | None:
    wanted, limit = settings.max_model_len, settings.knobs.shape.max_len
    if wanted < 1:
        return f"max_model_len must be at least 1, or {OWN_LENGTH} for the model's own, got {wanted}."
    if wanted <= limit:
        return None
    return f"User-specified max_model_len ({wanted}) is greater than the derived max_model_len ({limit})."


def _events(settings: Settings) -> str | None:
    try:
        settings.kv_events  # noqa: B018 - read for what it refuses
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _memory(settings: Settings) -> str | None:
    share, wanted = settings.flags.gpu_memory_utilization, settings.max_model_len
    if not 0 < share <= 1:
        return f"GPU memory utilization must be greater than 0 and at most 1, got {share}."
    if wanted <= settings.kv_tokens:
        return None
    return (
        f"The model's max seq len ({wanted}) is larger than the maximum number of tokens that can be stored in "
        f"KV cache ({settings.kv_tokens}). Try increasing gpu_memory_utilization or decreasing max_model_len."
    )


_CONNECTORS = ("LMCacheConnectorV1", "LMCacheConnectorV1Dynamic", "NixlConnector")
_ROLES = ("kv_producer", "kv_consumer", "kv_both")


def uses_lmcache(flags: Flags) -> bool:
    """Say whether the connector is LMCache's, which then reads its configuration file."""
    return str((flags.kv_transfer_config or {}).get("kv_connector")).startswith("LMCacheConnector")


def _check_transfer(config: Mapping[str, Any] | None) -> list[str]:
    if config is None:
        return []
    found = []
    connector, role = config.get("kv_connector"), config.get("kv_role")
    if connector not in _CONNECTORS:
        found.append(f"Unsupported connector type: {connector}")
    if role not in _ROLES:
        found.append(f"Unsupported kv_role: {role}. Supported roles are {', '.join(_ROLES)}")
    if connector == "LMCacheConnectorV1Dynamic" and not config.get("kv_connector_module_path"):
        found.append("LMCacheConnectorV1Dynamic needs kv_connector_module_path")
    if config.get("kv_load_failure_policy", "fail") not in {"fail", "recompute"}:
        found.append(f"Unsupported kv_load_failure_policy: {config['kv_load_failure_policy']}")
    return found
