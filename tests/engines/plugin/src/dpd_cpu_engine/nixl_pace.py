"""NIXL's progress thread sleeps NIXL_PTHR_DELAY_US microseconds between looks, where its Python wrapper would spin.

The wrapper sets `pthrDelay` to 0 itself, so an idle engine keeps one core busy: too much where
four engines share two cores.
"""

import os
from typing import Any

VARIABLE = "NIXL_PTHR_DELAY_US"


def register() -> None:
    """Entry point of the plugin; does nothing when the variable is absent or 0."""
    delay = int(os.environ.get(VARIABLE, "0"))
    if delay <= 0:
        return
    # vLLM sets this before it imports nixl; nixl's import is the last moment for it.
    os.environ.setdefault("UCX_RCACHE_MAX_UNRELEASED", "1024")
    import nixl._api as api  # type: ignore[import-not-found]

    binding = api.nixlBind
    if not hasattr(binding.nixlAgentConfig, "dpd_paced"):
        binding.nixlAgentConfig = paced(binding.nixlAgentConfig, delay)


def paced(config: Any, delay: int) -> Any:
    """The same configuration class, with `pthrDelay` fixed at `delay` microseconds."""

    class Paced(config):  # type: ignore[misc]  # a class of the C++ binding
        dpd_paced = True

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, delay if name == "pthrDelay" else value)

    return Paced
