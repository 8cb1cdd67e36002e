"""Lets LMCache 0.4.3 start inside vLLM's CPU platform, right after its adapter is imported.

Three things refuse there: `get_vllm_torch_dev` knows CUDA and XPU, `CreateGPUConnector` has no connector for a CPU, and
the layer groups read a KV tensor as [.., tokens, heads, ..] where the CPU backend has [.., heads, tokens, ..].
Everything else is LMCache's own code: the PD backend, its sockets, NIXL, the buffer, hashing, tags.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

ADAPTER = "lmcache.integration.vllm.vllm_v1_adapter"


def register() -> None:
    """Entry point of the plugin: act when vLLM imports LMCache's adapter; importing it here would be too early."""
    if ADAPTER in sys.modules:
        apply()
    elif not any(type(each) is AfterImport for each in sys.meta_path):
        sys.meta_path.insert(0, AfterImport())


class AfterImport(importlib.abc.MetaPathFinder):
    """Finds the adapter as usual, once, and calls `apply` when it has been loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only the adapter is ours; any other module is left to the next finder."""
        if fullname != ADAPTER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            apply()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def apply() -> None:
    """Put our parts in place, when this engine is vLLM on a CPU."""
    from vllm.platforms import current_platform  # type: ignore[import-not-found]

    if not current_platform.is_cpu():
        return
    from lmcache.integration.vllm import utils  # type: ignore[import-not-found]
    from lmcache.utils import EngineType  # type: ignore[import-not-found]
    from lmcache.v1 import gpu_connector  # type: ignore[import-not-found]
    from lmcache.v1.kv_layer_groups import KVLayerGroupsManager  # type: ignore[import-not-found]

    from dpd_cpu_engine.connector import CPUConnector  # type: ignore[import-not-found]

    utils.get_vllm_torch_dev = lambda: (device(), "cpu")
    build = KVLayerGroupsManager.build_kv_layer_groups

    def build_kv_layer_groups(self: Any, kv: dict[str, Any]) -> Any:
        return build(self, {name: tensor.permute(0, 1, 3, 2, 4) for name, tensor in kv.items()})

    KVLayerGroupsManager.build_kv_layer_groups = build_kv_layer_groups
    original = gpu_connector.CreateGPUConnector

    def create(config: Any, metadata: Any, engine: Any, *others: Any, **named: Any) -> Any:
        if engine == EngineType.VLLM:
            return CPUConnector(metadata)
        return original(config, metadata, engine, *others, **named)

    gpu_connector.CreateGPUConnector = create


def device() -> SimpleNamespace:
    """What LMCache asks of `torch.cuda`, for one device that is always ready."""
    return SimpleNamespace(
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda _index: None,
        is_available=lambda: True,
        synchronize=lambda *_streams: None,
    )
