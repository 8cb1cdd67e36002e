"""LMCache's configuration as LMCache reads it: a YAML file, then LMCACHE_<KEY> variables over it. Pure.

Two facts matter to whoever writes such a configuration. Unknown keys are dropped with a warning, so a misspelt one is
silently the default. And only a configuration that came from a file is checked and corrected: with variables alone,
`save_unfull_chunk` stays false and some transfers never send their notice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dpd_sim.lmcache_keys import NOT_FROM_ENVIRONMENT, OTHERS

ENV = "LMCACHE_"
FILE_ENV = "LMCACHE_CONFIG_FILE"


@dataclass(frozen=True, slots=True)
class LMCacheConfig:
    """The keys this engine acts on (or merely repeats in its log), with LMCache's defaults."""

    chunk_size: int = 256
    local_cpu: bool = True
    max_local_cpu_size: float = 5.0
    enable_p2p: bool = False
    enable_pd: bool = False
    pd_role: str | None = None
    pd_buffer_size: int | None = None
    pd_buffer_device: str | None = None
    pd_peer_host: str | None = None
    pd_peer_init_port: tuple[int, ...] | None = None
    pd_peer_alloc_port: tuple[int, ...] | None = None
    pd_proxy_host: str | None = None
    pd_proxy_port: int | None = None
    transfer_channel: str | None = None
    nixl_backends: tuple[str, ...] | None = None
    save_unfull_chunk: bool = False
    save_decode_cache: bool = False
    retrieve_locations: tuple[str, ...] | None = None
    store_location: str | None = None
    pre_caching_hash_algorithm: str = "builtin"
    remote_url: str | None = None
    remote_serde: str | None = "naive"
    storage_plugins: tuple[str, ...] | None = None
    lookup_timeout_ms: int = 3000
    extra_config: Mapping[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """The configuration as LMCache prints it: a plain dict, tuples as lists."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with what there is to say about it; `problems` put the engine into degraded mode."""

    config: LMCacheConfig
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


_TRUE = frozenset({"true", "1", "yes", "on"})
_BOOLEANS = _TRUE | {"false", "0", "no", "off", ""}


def _flag(value: Any) -> bool:
    return str(value).strip().lower() in _TRUE


def _ports(value: Any) -> tuple[int, ...]:
    return tuple(int(item) for item in _items(value))


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(item).strip() for item in _items(value))


def _items(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [part for part in str(value).split(",") if part.strip()]


_READ: dict[str, Callable[[Any], Any]] = {
    "chunk_size": int,
    "max_local_cpu_size": float,
    "pd_buffer_size": int,
    "pd_proxy_port": int,
    "lookup_timeout_ms": int,
    "pd_peer_init_port": _ports,
    "pd_peer_alloc_port": _ports,
    "nixl_backends": _names,
    "retrieve_locations": _names,
    "storage_plugins": _names,
    "extra_config": lambda value: value,
    **dict.fromkeys(("local_cpu", "enable_p2p", "enable_pd", "save_unfull_chunk", "save_decode_cache"), _flag),
}
_IGNORED_ENV = {"CONFIG_FILE", "TRACK_USAGE", "LOG_LEVEL", "USE_EXPERIMENTAL"}


def load(document: Mapping[str, Any] | None, env: Mapping[str, str], extra: Mapping[str, Any], ranks: int) -> Loaded:
    """Read a configuration file's document (None: no file), the environment and the connector's extra settings."""
    gathered = _Gathered()
    for key, value in (document or {}).items():
        gathered.put(str(key), value, "the configuration file")
    for name, value in sorted(env.items()):
        key = name.removeprefix(ENV)
        if name.startswith(ENV) and key not in _IGNORED_ENV:
            gathered.put(key.lower(), value, name)
    config = LMCacheConfig(**gathered.values)
    if document is not None:
        config = _corrected(config, gathered.warnings)
    late = _Gathered()
    for name, value in extra.items():
        if name.startswith("lmcache."):
            late.put(name.removeprefix("lmcache."), value, "kv_connector_extra_config")
    config = replace(config, **late.values)
    warnings = (*gathered.warnings, *late.warnings, *_unsimulated(config))
    return Loaded(config, warnings, (*gathered.problems, *late.problems, *_problems(config, ranks)))


def _unsimulated(config: LMCacheConfig) -> list[str]:
    """As with a store that cannot be reached: LMCache warns, and goes on without it."""
    return (
        [f"remote_url: no store at {config.remote_url} is simulated, nothing is kept there"]
        if config.remote_url
        else []
    )


@dataclass(slots=True)
class _Gathered:
    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any, source: str) -> None:
        """Read one value and keep it; what cannot be read is noted instead."""
        if key in OTHERS:
            return
        if key in NOT_FROM_ENVIRONMENT and source.startswith(ENV):
            self.problems.append(f"{key}: {source} is set, and LMCache cannot read this one from the environment")
        elif key not in _KEYS:
            self.warnings.append(f"{key}: unknown configuration key in {source}, dropped")
        elif value is None:
            self.values[key] = None
        else:
            reader = _READ.get(key, str)
            if reader is _flag and str(value).strip().lower() not in _BOOLEANS:
                self.warnings.append(f"{key}: {value!r} in {source} is neither true nor false, read as False")
            try:
                self.values[key] = reader(value)
            except (TypeError, ValueError):
                self.problems.append(f"{key}: {value!r} in {source} cannot be read")


_KEYS = frozenset(f.name for f in fields(LMCacheConfig))


def _corrected(config: LMCacheConfig, warnings: list[str]) -> LMCacheConfig:
    if config.enable_pd and not config.save_unfull_chunk:
        warnings.append("save_unfull_chunk: set to True, for PD needs the last partial chunk")
        return replace(config, save_unfull_chunk=True)
    return config


def _problems(config: LMCacheConfig, ranks: int) -> list[str]:
    if not config.enable_pd:
        return []
    found = []
    if config.pd_role not in {"sender", "receiver"}:
        found.append(f"pd_role: {config.pd_role!r}, must be sender or receiver")
    if config.transfer_channel != "nixl":
        found.append(f"transfer_channel: {config.transfer_channel!r}, must be nixl")
    if config.enable_p2p:
        found.append("enable_p2p: cannot be combined with enable_pd")
    if not config.pd_buffer_size or config.pd_buffer_size < 0:
        found.append(f"pd_buffer_size: {config.pd_buffer_size!r}, must be a number of bytes per rank")
    if config.remote_url and not config.local_cpu:
        found.append("remote_url: needs host memory to pass through, and local_cpu is off")
    if config.pd_buffer_device not in {"cpu", "cuda"}:
        found.append(f"pd_buffer_device: {config.pd_buffer_device!r}, must be cpu or cuda")
    return found + (_receiver(config, ranks) if config.pd_role == "receiver" else _sender(config))


def _sender(config: LMCacheConfig) -> list[str]:
    if config.pd_role != "sender":
        return []
    wanted = {"pd_proxy_host": config.pd_proxy_host, "pd_proxy_port": config.pd_proxy_port}
    return [f"{key}: required for a sender" for key, value in wanted.items() if not value]


def _receiver(config: LMCacheConfig, ranks: int) -> list[str]:
    found = [] if config.pd_peer_host else ["pd_peer_host: required for a receiver"]
    for key in ("pd_peer_init_port", "pd_peer_alloc_port"):
        ports = getattr(config, key) or ()
        if len(ports) < ranks:
            found.append(f"{key}: {len(ports)} ports for {ranks} ranks; rank {len(ports)} has none")
    if config.retrieve_locations and "PDBackend" not in config.retrieve_locations:
        found.append("retrieve_locations: must be unset or name PDBackend on a receiver")
    return found
